// What main() of the storage tests tells the tests.
#pragma once

namespace egret::test {

extern bool long_run;  // --long: every operation, not a sample of them

}  // namespace egret::test

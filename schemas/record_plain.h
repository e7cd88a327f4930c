// Plain: a quick yes to bodies and arrivals as make_body makes them: their bytes are walked by the
// tables of record_rules, without making messages of them. Promises: what it says yes to, the long
// way (check_body, check_arrival) says yes to with the same answer. Leaves to others: whatever is
// unusual, and every refusal with its text: then it only says that it does not know.
#pragma once

#include <optional>

#include "schemas/record.h"

namespace egret {

struct PlainBody {
  Kind kind = Kind::ai_result;
  StreamId lane = StreamId::result;
};

// nullopt: ask the long way. A yes means kRecordSchema and the facility that is expected.
std::optional<PlainBody> plain_body(ByteView body, const Facility& expected);
// False: ask the long way.
bool plain_arrival(ByteView arrival);

// The long way (record.cpp): makes messages, knows every rule, and says what is wrong. For tests of
// the short one.
Result<CheckedBody> check_body_by_message(ByteView body, const Facility& expected);
Result<void> check_arrival_by_message(ByteView arrival);

}  // namespace egret

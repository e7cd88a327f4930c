// Capability: the CapabilityStatement, made from the tables that search and check read: what it says works.
// Promises: nothing is in it that tests/unit/cloud/fhir_capability_test.cpp has no test for. Leaves to others: roles.
#pragma once

#include "cloud/fhir/json.h"

namespace egret::cloud::fhir {

Json capability_statement(const std::string& base);

}  // namespace egret::cloud::fhir

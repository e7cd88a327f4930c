#include "schemas/limits.h"

#include <catch2/catch.hpp>

using namespace egret;

// es1.md, the tests and every peer in the field were written for these values. A change here is a
// change of the protocol: read es1.md section 2 and 8, decide what an older peer does with it, then
// change both.
TEST_CASE("the limits that both sides must share have the values es1.md was written for") {
  CHECK(kFacilityCharsMax == 32);
  CHECK(kLengthPrefixBytes == 4);
  CHECK(kRecordBytesMax == 65'536);
  CHECK(kDocumentBytesMax == 16'777'216);
  CHECK(kDocumentPartBytesMax == 32'768);
  CHECK(kDocumentPartsMax == 512);
  CHECK(kBlockRecordsMax == 256);
  CHECK(kBlockRawBytesMax == 65'536);
  CHECK(kBatchItemsMax == 1'024);
  CHECK(kBatchRecordsMax == 65'535);
  CHECK(kRawBodyBytesMax == 8'388'608);
  CHECK(kFrameBytesMax == 262'144);
  CHECK(kFrameBytesAgreedMax == 1'048'576);
  CHECK(kHelloBytesMax == 65'536);
  CHECK(kZstdWindowLogMax == 23);
  CHECK(kListedEpochsMax == 256);
  CHECK(kFinishedPerHelloMax == 400);
  CHECK(kGapRangesPerEntryMax == 32);
  CHECK(kRejectedPerAckMax == 16);
  CHECK(kClaimsPerRowMax == 8);
  CHECK(kCreditMax == 3);
}

TEST_CASE("the layout of a frame has the sizes that are on the wire") {
  CHECK(kFramePrefixBytes == 24);
  CHECK(kTagBytes == 16);
  CHECK(kHelloClearBytes == 36);
  CHECK(kSignatureBytes == 64);
  CHECK(kDigestWireBytes == 16);
  CHECK(kProtocolVersion == 1);
  CHECK(kSuite == 1);
}

TEST_CASE("the formats of both stores are the ones this program writes") {
  CHECK(kEdgeFormat == 1);
  CHECK(kCloudFormat == 1);
  CHECK(kWitnessBytes == 64);
}

TEST_CASE(
    "the timers that two sides wait for each other by have the values es1.md was written for") {
  CHECK(kHelloTimeoutMs == 10'000);
  CHECK(kHelloTimeoutMaxMs == 300'000);
  CHECK(kHelloSpacingMs == 5'000);
  CHECK(kNeedHelloSpacingMs == 30'000);
  CHECK(kRtoMinMs == 5'000);
  CHECK(kRtoMaxMs == 300'000);
  CHECK(kIdleHelloMs == 300'000);
  CHECK(kPurgeHelloSpacingMs == 300'000);
  CHECK(kPurgeHelloBytes == 1'048'576);
  CHECK(kBackoffMaxMs == 300'000);
  CHECK(kLeaseMs == 120'000);
  CHECK(kParkRetryMs == 3'600'000);
  CHECK(kParkRetryCriticalMs == 60'000);
  CHECK(kSessionUnusedDays == 90);
}

TEST_CASE("lanes share the link as es1 section 7 says") {
  CHECK(kLaneWeight[1] == 8);
  CHECK(kLaneWeight[2] == 2);
  CHECK(kLaneWeight[3] == 1);
  CHECK(kCriticalSharePercentMax == 80);
  CHECK(kLaneSharePercentMin == 5);
  CHECK(kBatchOnLinkMs == 500);
}

// Limits: every number of es1 and of the record model, once. Units are in the names.
// Promises: limits that must agree are checked here by the compiler, not met at a clinic.
// Leaves to others: enforcing them. A decoder checks a size before it allocates.
#pragma once

#include <cstddef>
#include <cstdint>

namespace egret {

inline constexpr size_t kKiB = 1024;
inline constexpr size_t kMiB = 1024 * kKiB;

// ---- names ----
inline constexpr size_t kFacilityCharsMax = 32;

// ---- records ----
inline constexpr size_t kLengthPrefixBytes = 4;
inline constexpr size_t kRecordBytesMax = 64 * kKiB;  // body + arrival + length prefix
inline constexpr size_t kBodyLengthBytes = 4;         // in front of the body, inside the record
inline constexpr size_t kArrivalBytesMax = 512;       // by the limits of its fields
inline constexpr size_t kBodyBytesMax =
    kRecordBytesMax - kLengthPrefixBytes - kBodyLengthBytes - kArrivalBytesMax;
// A telemetry batch is cut to this, so that a lane never waits long for one record.
inline constexpr size_t kTelemetryBodyBytesMax = 32 * kKiB;
inline constexpr size_t kDocumentBytesMax = 16 * kMiB;
inline constexpr size_t kDocumentPartBytesMax = 32 * kKiB;
inline constexpr size_t kDocumentPartsMax = kDocumentBytesMax / kDocumentPartBytesMax;

// ---- the JSON door ----
inline constexpr size_t kJsonDepthMax = 32;
inline constexpr size_t kJsonDocumentBytesMax =
    256 * kKiB;  // one record as JSON; larger than its canonical form
inline constexpr size_t kTelemetryRequestBytesMax = 1 * kMiB;
inline constexpr size_t kDecimalCharsMax = 64;
inline constexpr int kDecimalExponentMax =
    300;  // so that every reader's double can hold the magnitude
inline constexpr size_t kRequestBytesMax = 16 * kMiB + 64 * kKiB;
inline constexpr size_t kRecordsPerRequestMax = 10'000;
inline constexpr size_t kIdempotencyKeyCharsMax = 128;

// ---- blocks: the unit of fsync, chain, shed and loss ----
inline constexpr size_t kBlockRecordsMax = 256;
inline constexpr size_t kBlockRawBytesMax = 64 * kKiB;

// ---- batches and frames ----
inline constexpr size_t kBatchItemsMax = 1024;
inline constexpr size_t kBatchRecordsMax = 65'535;
inline constexpr size_t kRawBodyBytesMax = 8 * kMiB;  // records of one batch, decompressed
inline constexpr size_t kFrameBytesFloor = 8 * kKiB;  // the send limit is never halved below this
inline constexpr size_t kFrameBytesStart = 64 * kKiB;
inline constexpr size_t kFrameBytesMax = 256 * kKiB;
inline constexpr size_t kFrameBytesAgreedMax = 1 * kMiB;
inline constexpr size_t kHelloBytesMax = 64 * kKiB;  // HELLO and WELCOME, always whole
inline constexpr size_t kFramePrefixBytes = 24;
inline constexpr size_t kTagBytes = 16;
inline constexpr size_t kHelloClearBytes = 4 + 32;  // kid, enc
inline constexpr size_t kSignatureBytes = 64;
inline constexpr size_t kDigestWireBytes = 16;  // the part of c that travels
// MQTT around a frame: fixed header, topic (es1/xx/fac/u/c), packet id, properties.
inline constexpr size_t kMqttOverheadBytes = 64;
inline constexpr size_t kZstdWindowLogMax = 23;
// Room a batch needs beside its compressed records: prefix, tag, header fields, one item.
inline constexpr size_t kBatchOverheadBytes = 1 * kKiB;
// zstd never makes a block longer than this much over raw; codec `stored` adds nothing.
inline constexpr size_t kCompressionSlackBytes = 512;

// ---- HELLO, WELCOME, ACK ----
inline constexpr size_t kListedEpochsMax = 256;
inline constexpr size_t kHelloEntryBytesMax = 52;    // one stream of one listed epoch
inline constexpr size_t kHelloFixedBytesMax = 1024;  // all that is not entries
inline constexpr size_t kFinishedPerHelloMax = 400;
inline constexpr uint32_t kDiskHoursLeftMax = 10 * 365 * 24;              // more says nothing to anybody
inline constexpr int64_t kCertificateEndsMaxS = 253'402'300'799;          // the last second of year 9999
inline constexpr size_t kGapRangesPerEntryMax = 32;
inline constexpr size_t kRejectedPerAckMax = 16;
inline constexpr size_t kClaimsPerRowMax = 8;
inline constexpr size_t kMarksPerRow = 64;  // W over time, for the age policy
inline constexpr uint32_t kCreditMax = 3;

// ---- time, in milliseconds ----
inline constexpr int64_t kHelloTimeoutMs = 10'000;
inline constexpr int64_t kHelloTimeoutMaxMs = 300'000;
inline constexpr int64_t kHelloSpacingMs = 5'000;
inline constexpr int64_t kNeedHelloSpacingMs = 30'000;
inline constexpr int64_t kRtoMinMs = 5'000;
inline constexpr int64_t kRtoMaxMs = 300'000;
inline constexpr int64_t kIdleHelloMs = 300'000;
inline constexpr int64_t kPurgeHelloSpacingMs = 300'000;
inline constexpr size_t kPurgeHelloBytes = 1 * kMiB;
inline constexpr int64_t kBackoffFirstMs = 1'000;
inline constexpr int64_t kBackoffMaxMs = 300'000;
inline constexpr int64_t kBackoffStableMs = 300'000;
inline constexpr int64_t kIdentityBackoffMs = 300'000;
inline constexpr int64_t kConnectTimeoutMs = 30'000;
inline constexpr int64_t kLeaseMs = 120'000;
inline constexpr int64_t kLeaseMaxMs = 3'600'000;  // a longer one is cut to this
// A frame that is larger than any before and was sent this often without an answer is too large; one of a size
// that has passed before, this often. The same of connections that ended with a batch in the socket.
inline constexpr int kTriesBeforeTooLarge = 3;
inline constexpr int kTriesBeforeDoubt = 8;
inline constexpr int kLostBeforeDoubt = 3;
// HELLOs in a row that nobody answers, before a run gives way to one with the key that the region has named.
inline constexpr int kUnansweredBeforeNextKey = 4;
inline constexpr int64_t kParkRetryMs = 3'600'000;
// A damaged store that could not be brought back is tried again.
inline constexpr int64_t kRescueRetryMs = 600'000;
inline constexpr int64_t kParkRetryCriticalMs = 60'000;
inline constexpr int64_t kFrameGrowRetryMs =
    3'600'000;  // a halved frame limit is tried again this often
inline constexpr int64_t kLaneWindowMs = 10'000;
inline constexpr int64_t kBatchOnLinkMs =
    500;  // lanes 1-3: a batch is cut to this much of the measured link
inline constexpr int64_t kSessionUnusedDays = 90;
// A second agent under one identity that was silent for this long is gone.
inline constexpr int64_t kAloneMs = 24LL * 3600 * 1000;

// ---- lanes ----
inline constexpr uint32_t kLaneWeight[4] = {0, 8, 2, 1};  // lane 0 goes first and has no weight
inline constexpr int64_t kLaneQuantumBytes = 16 * 1024;   // a lane's turn, a unit of weight
inline constexpr uint32_t kCriticalSharePercentMax = 80;
inline constexpr uint32_t kLaneSharePercentMin = 5;

// ---- memory ----
// Freed memory that a process keeps: buffers of a batch come and go many times a second.
inline constexpr size_t kHeapKeptBytes = 32 * kMiB;

// ---- the edge's disk ----
inline constexpr size_t kWitnessBytes = 64;
inline constexpr size_t kBallastBytes = 4 * kMiB;
inline constexpr size_t kReserveBytes = 8 * kMiB;  // kept for stream 0 and re-homing
inline constexpr size_t kDiskBudgetBytesMin = 32 * kMiB;
// Of the budget less its reserves: where each measure of es1 5.6 begins.
inline constexpr uint64_t kPurgeTelemetryPercent = 80;
inline constexpr uint64_t kPurgeResultsPercent = 85;
inline constexpr uint64_t kShedPercent = 90;
inline constexpr uint64_t kRefuseTelemetryPercent = 97;
inline constexpr uint64_t kRefuseSlackPercent = 3;
inline constexpr int64_t kDiskSampleMs = 60'000;
inline constexpr int kDiskForecastSamples = 60;  // averaged for the days that are left
// Requests that wait for the group commit; one document always fits.
inline constexpr size_t kWriterQueueBytesMax = 24 * kMiB;

// ---- the edge's store ----
inline constexpr uint64_t kEpochRecordsMax =
    uint64_t{1} << 31;  // then the run goes on in a new epoch: a range fits 32 bits
inline constexpr int kIngestZstdLevel = 1;
inline constexpr size_t kMoveStepBlocks = 32;  // re-homed in one Batch

// ---- the stores' files ----
inline constexpr size_t kTableBytes = 4 * kMiB;  // a RocksDB table: what can be dropped whole
inline constexpr size_t kReclaimRestBytes =
    1 * kMiB;  // more than this left of a reclaimed range: compact it
inline constexpr size_t kReclaimLogBytes =
    4 * kMiB;  // more than this logged since: flush, so that logs go too

// ---- formats ----
inline constexpr uint32_t kEdgeFormat = 1;
inline constexpr uint32_t kCloudFormat = 1;
inline constexpr uint8_t kProtocolVersion = 1;
inline constexpr uint8_t kSuite = 1;  // X25519 + HKDF-SHA256 + AES-256-GCM

static_assert(kDocumentPartBytesMax + 4 * kKiB <= kRecordBytesMax,
              "a document part fits one record");
static_assert(kDocumentPartBytesMax + 1 * kKiB <= kBodyBytesMax, "a document part fits one body");
static_assert(kTelemetryBodyBytesMax <= kBodyBytesMax, "a telemetry batch fits one body");
static_assert(kRecordBytesMax <= kBlockRawBytesMax, "one record fits one block");
static_assert(kBlockRawBytesMax + kCompressionSlackBytes + kBatchOverheadBytes <= kFrameBytesMax,
              "one block, even incompressible, fits one frame");
static_assert(kBlockRawBytesMax <= kRawBodyBytesMax, "one block fits one batch");
static_assert(kBlockRecordsMax <= kBatchRecordsMax, "one block fits one batch");
static_assert(kListedEpochsMax * 4 * kHelloEntryBytesMax + kHelloFixedBytesMax <=
                  kHelloBytesMax - 8 * kKiB,
              "a full listing leaves a HELLO room for finished epochs");
static_assert(kHelloBytesMax <= kFrameBytesMax, "a HELLO fits one frame");
static_assert(kFacilityCharsMax + 11 + 11 <= kMqttOverheadBytes,
              "a topic and its headers fit the allowance");
static_assert(kFrameBytesFloor < kFrameBytesStart && kFrameBytesStart <= kFrameBytesMax,
              "frame limits rise");
static_assert(kDocumentBytesMax < kRequestBytesMax, "a document fits one request");
static_assert(kMoveStepBlocks * (kBlockRawBytesMax + kCompressionSlackBytes) < kReserveBytes,
              "a re-homing step fits the reserve");
static_assert(kPurgeTelemetryPercent < kPurgeResultsPercent &&
                  kPurgeResultsPercent < kShedPercent && kShedPercent < kRefuseTelemetryPercent &&
                  kRefuseTelemetryPercent < 100,
              "the measures against a full disk come in order");
static_assert(kDocumentBytesMax < kWriterQueueBytesMax, "one document fits the writer's queue");
static_assert(kBallastBytes + kReserveBytes < kDiskBudgetBytesMin,
              "the smallest budget holds its reserves");
static_assert(kRtoMinMs < kRtoMaxMs && kHelloSpacingMs < kHelloTimeoutMs, "timers are ordered");
static_assert(kLeaseMs > 2 * kHelloTimeoutMs, "a lease outlives a lost HELLO");

}  // namespace egret

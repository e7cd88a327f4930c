// Record documents: any bytes up to 16 MiB as one SourceDocument and DocumentParts of 32 KiB, and
// back. Promises: the same bytes and facts give the same bodies; what is joined has the size and
// SHA-256 that was stated. Leaves to others: writing them all in one batch (edge/buffer), keeping
// and collecting parts (cloud/store).
#pragma once

#include <span>
#include <vector>

#include "schemas/record.h"

namespace egret {

// What is said about a document; the same for its parts.
struct DocumentFacts {
  std::string
      media_type;     // "application/hl7-v2", "application/fhir+json", "application/dicom", ...
  std::string name;   // as the producer called the file; may be empty; patient data
  uint32_t sens = 4;  // Body.sens
  std::vector<uint32_t> purpose;  // numbers of v1::Purpose; at least one
};

// The SourceDocument first, then its parts in order; a document of 0 bytes has none.
// Errors: too_large (over kDocumentBytesMax), bad_input (media type, sens, purpose).
Result<std::vector<NewBody>> split_document(ByteView bytes, const DocumentFacts& facts,
                                            const Facility& fac);

// `parts`: bodies of the DocumentParts, in order of index. Errors: bad_input (not what it says:
// kind, document, index, count), corrupt (size or SHA-256 differ).
Result<Bytes> join_document(ByteView document, std::span<const Bytes> parts);

}  // namespace egret

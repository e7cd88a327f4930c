// Patients: which results are of one patient, and which identifiers are said to name one: tables of space 5.
// Promises: an identifier is kept as an HMAC under the store's own key, never as it is; a patient whom nobody knows is
// accepted; what was joined is resolved when it is read, so that every link can be undone (rules 14 and 15).
// Leaves to others: who may state a link, showing identifiers (the records hold them).
//
//   's' patient 32 fac id 16        a result of this patient
//   'i' patient 32 patient 32 body 32
//                                   a link, once from either side: same u8, when it was decided i64, authority text,
//                                   facility text, epoch u64, stream u8, seq u64
#pragma once

#include "cloud/merge/identity.h"
#include "cloud/view_tables.h"

namespace egret::v1 {  // generated: schemas/record.pb.h
class IdentityLink;
class Identifier;
}  // namespace egret::v1

namespace egret::cloud {

// Names of one group that are followed at most; a group that is larger is not joined over others.
inline constexpr size_t kPatientGroupNames = 256;

// The name of a patient in this store.
Hash patient_of(const Key32& store_key, const v1::Identifier& identifier);
// The store's key. Errors: corrupt, store_failed.
Result<Key32> patient_key(const Kv& kv);

// A link as it was stated, and by whom.
struct StatedLink {
  IdentityLink link;
  std::string authority;
  Facility by;
  Place place;
};
StatedLink read_link(const v1::IdentityLink& link, const Key32& store_key, const Hash& body, const Facility& by, const Place& place);
void put_link(KvBatch& batch, const StatedLink& link);
// Which results of a patient are new, or gone.
void change_patients(const ResultName& name, const ResultRow& before, const ResultRow& after, KvBatch& batch);

struct Patient {
  std::vector<PatientName> names;    // itself included
  std::vector<StatedLink> links;     // of the whole group, each once: what was joined, and what was not
  std::vector<std::pair<PatientName, PatientName>> contradictions;
  bool too_many = false;             // kPatientGroupNames: links over others are not followed
};
// Errors: corrupt, store_failed.
Result<Patient> resolve(const Kv& kv, const Hash& name);
// The results of a name, until `each` returns false.
Result<void> each_of_patient(const Kv& kv, const PatientName& name, const std::function<bool(const ResultName&)>& each);

}  // namespace egret::cloud

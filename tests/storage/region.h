// Region: a reconciler and its store in memory, kept in a file between two processes; what it was
// told of a record. Promises: the real reconciler and committer decide; keys and broker are left
// out. Leaves to others: the site (site.h).
#pragma once

#include <catch2/catch.hpp>
#include <filesystem>
#include <optional>

#include "tests/unit/cloud/reconciler_rig.h"

namespace egret::test {

class Region {
 public:
  Region() = default;
  explicit Region(const std::filesystem::path& file);  // as keep() left it
  void keep(const std::filesystem::path& file) const;

  // The answers' frames.
  std::vector<Bytes> hear(TopicKind topic, Bytes frame, Now now);

  // What became of a record that a site once held at `seq`.
  enum class Fate : uint8_t { applied, gap, incident, unknown };
  Fate fate(StreamKey key, Seq seq, ByteView record);
  // Records that are applied or in quarantine and that `known` does not know.
  size_t strangers(const std::function<bool(const Bytes& natural_key)>& known);
  std::string wrong();  // what `egret-cloud verify` finds first; empty: nothing
  std::vector<std::string> incidents();

  static Bytes natural_key_of(ByteView record);
  cloud::CloudRig& rig() { return rig_; }

 private:
  cloud::CloudRig rig_;
};

}  // namespace egret::test

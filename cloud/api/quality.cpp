// /api/quality: how models do.
#include "cloud/quality.h"

#include "cloud/api/query.h"
#include "cloud/api/region.h"

namespace egret::cloud {

namespace {

Result<std::string> models_json(const Kv& kv) {
  const auto all = models(kv);
  if (!all) return all.error();
  std::string out;
  for (const ModelText& model : *all) out += (out.empty() ? "" : ",") + to_json(model);
  return "{\"models\":[" + out + "]}";
}

}  // namespace

void add_quality(Endpoints& endpoints, const Region& region) {
  endpoints.add(unaudited({"GET", "/api/models", {Role::viewer, Role::operations, Role::auditor}, "every model that was described, by id, vendor, name and version", [region](const ApiCall&, HttpAnswer answer) {
                             answer_from_store(region, std::move(answer), [](OpenedStore& store) { return answer_of(models_json(*store.kv)); });
                           }}));
  endpoints.add({"GET", "/api/quality", {Role::viewer, Role::operations, Role::auditor}, "?model=M&version=V&from=A&to=B&facility=F&before_from=C&before_to=D: how a model does, by version and site; at most 5,000 results",
                 [region](const ApiCall& call, HttpAnswer answer) {
                   const auto query = query_of(call.http.query, {"model", "version", "from", "to", "facility", "before_from", "before_to"});
                   if (!query) return answer(error_answer(query.error()));
                   const auto at = [&](std::string_view name) {
                     const auto found = query->find(name);
                     return found == query->end() ? std::string() : found->second;
                   };
                   QualityAsked asked{{at("model"), at("version"), at("from"), at("to"), at("facility")}, at("before_from"), at("before_to"), kQualityResultsMax};
                   if (asked.of.model.empty()) return answer(error_answer(400, "model: which one?"));
                   answer_from_store(region, std::move(answer), [asked = std::move(asked)](OpenedStore& store) {
                     const auto models = model_quality(*store.kv, asked);
                     return models ? json_answer(200, to_json(*models)) : error_answer(models.error());
                   });
                 }});
}

}  // namespace egret::cloud

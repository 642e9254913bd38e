#include "mixture/pool_gates.h"

#include <ATen/ATen.h>

#include <map>

namespace lmoe::mixture {
namespace {

nn::GateRecord join(const std::vector<const nn::GateRecord*>& gates) {
  const auto rows_of = [&](at::Tensor nn::GateRecord::*table) {
    std::vector<at::Tensor> rows;
    for (const nn::GateRecord* gate : gates)
      if ((gate->*table).defined()) rows.push_back(gate->*table);
    return rows.empty() ? at::Tensor() : at::cat(rows);
  };
  nn::GateRecord joined = *gates.front();
  joined.probabilities = rows_of(&nn::GateRecord::probabilities);
  joined.weights = rows_of(&nn::GateRecord::weights);
  joined.selected = rows_of(&nn::GateRecord::selected);
  joined.logits = rows_of(&nn::GateRecord::logits);
  return joined;
}

}  // namespace

std::vector<nn::GateRecord> pool_gates(const nn::RouterLog& log, spec::LossOver over) {
  const bool by_layer = over == spec::LossOver::kLayersPooledSum;
  if (!by_layer && over != spec::LossOver::kPooled) return log.records;
  std::map<int, std::vector<const nn::GateRecord*>> parts;
  for (const nn::GateRecord& record : log.records)
    parts[by_layer ? record.layer : 0].push_back(&record);
  std::vector<nn::GateRecord> pooled;
  for (const auto& [layer, gates] : parts) pooled.push_back(join(gates));
  return pooled;
}

}  // namespace lmoe::mixture

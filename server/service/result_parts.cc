// Parts that results of several kinds have.
#include "server/service/messages.h"

namespace induct::service {

v1::HeadRef ToHeadRef(const engine::Head& head) {
  v1::HeadRef message;
  message.set_layer(head.layer);
  message.set_head(head.head);
  return message;
}

std::vector<double> LowEnds(std::span<const analysis::Interval> intervals) {
  std::vector<double> ends;
  for (const analysis::Interval& interval : intervals) ends.push_back(interval.low);
  return ends;
}
std::vector<double> HighEnds(std::span<const analysis::Interval> intervals) {
  std::vector<double> ends;
  for (const analysis::Interval& interval : intervals) ends.push_back(interval.high);
  return ends;
}

void Assign(const std::vector<double>& values, google::protobuf::RepeatedField<double>* field) {
  field->Assign(values.begin(), values.end());
}

}  // namespace induct::service

// The JSON type of the house: keys keep their order, so files are written as a person would.
#pragma once

#include <nlohmann/json.hpp>

namespace lmoe {
using Json = nlohmann::ordered_json;
}

// Records that are conversations, brought to the messages that chat templates expect.
#pragma once

#include "data/record.h"
#include "data/record_fields.h"

namespace lmoe::data {

void read_messages(const RecordFields& fields, Record& record);
void read_sharegpt(const RecordFields& fields, Record& record);
void read_alpaca(const RecordFields& fields, Record& record);

}  // namespace lmoe::data

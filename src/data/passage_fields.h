// Passages in records (base/passage.h): "passage" of a message, or of a part of a prompt.
//
//   {"messages": [{"role": "user", "content": "…", "passage": 1}, …]}
//   {"prompt": [{"text": "…", "passage": 1}, {"text": "…", "passage": 2}, "Answer:"], …}
#pragma once

#include "data/record.h"
#include "data/record_fields.h"

namespace lmoe::data {

/// Takes "passage" out of the record's messages. Refuses numbers below 1, one that comes back after
/// something else, and an answer in a passage, which could see that passage alone.
void take_message_passages(const RecordFields& fields, Record& record);

/// "prompt", a text or a list of parts. Refuses the same, and parts without text.
void read_prompt(const RecordFields& fields, Record& record);

}  // namespace lmoe::data

// SPDX-License-Identifier: MIT
// Writing JSON: the one place that knows how a text is escaped, and a small writer over a buffer
// that puts the commas. The reader is json_read.h.
#ifndef EVLB_JSON_H
#define EVLB_JSON_H

#include "base/buf.h"
#include "base/str.h"

// Writes as much of `*text` as fits into `room` bytes at `out`, escaped, without quotes, never half
// a character; takes what was written off `*text`. Returns how many bytes were written. Whatever
// the input is, the output is valid in a JSON string, and valid UTF-8 without a line end of any
// kind: control characters become \u00XX, and so does each byte that is no valid UTF-8.
size_t json_escape(struct str *text, char *out, size_t room);

// The writer. Objects hold members with a key, arrays elements without (key NULL). After a failed
// allocation nothing more is written and `failed` stays set: look once, at the end.
struct json {
    struct buf *out;
    bool comma;  // something stands in front at this level
    bool failed; // out of memory
};

void json_object(struct json *j, const char *key);
void json_object_end(struct json *j);
void json_array(struct json *j, const char *key);
void json_array_end(struct json *j);
void json_text(struct json *j, const char *key, struct str value);
// A value that is JSON already: a number, null.
void json_bare(struct json *j, const char *key, struct str value);
void json_u64(struct json *j, const char *key, uint64_t value);
void json_bool(struct json *j, const char *key, bool value);
void json_null(struct json *j, const char *key);

#endif

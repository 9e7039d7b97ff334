// SPDX-License-Identifier: MIT
// Reading JSON (RFC 8259) as a tree: what was asked of the admin API, and what it answered.
#ifndef EVLB_JSON_READ_H
#define EVLB_JSON_READ_H

#include "base/arena.h"
#include "base/str.h"

#define JSON_DEPTH_MAX 32

enum json_kind { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_TEXT, JSON_ARRAY, JSON_OBJECT };

struct json_value {
    enum json_kind kind;
    bool truth;                            // JSON_BOOL
    struct str key;                        // of a member of an object, escapes undone
    struct str text;                       // JSON_TEXT with escapes undone, JSON_NUMBER as written
    const struct json_value *first, *next; // of the children of an array or object
};

// The whole text as one value in `a`; NULL when it is not valid JSON.
const struct json_value *json_read(struct arena *a, struct str text) MUST_CHECK;

// A member of an object; NULL when there is none or `v` is NULL or no object.
const struct json_value *json_get(const struct json_value *v, const char *key);
// The same as a text ("" when missing or no text) or a number (0 when missing or not a whole
// number without sign).
struct str json_get_text(const struct json_value *v, const char *key);
uint64_t json_get_u64(const struct json_value *v, const char *key);

#define JSON_EACH(it, v)                                                                           \
    for (const struct json_value *it = (v) != NULL ? (v)->first : NULL; it != NULL; it = it->next)

#endif

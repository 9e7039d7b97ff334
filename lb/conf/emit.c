// SPDX-License-Identifier: MIT
// Rows and values as text, for all emitters: `explain`, the JSON Schema, the reference and the man
// page say the same because they ask here.
#include "conf/emit.h"

#include <stdio.h>

#include "conf/units.h"

bool emit_is_planned(const struct row *row)
{
    return row->type == VALUE_PLANNED;
}

const char *emit_number(struct arena *a, const struct row *row, uint64_t value)
{
    if (value == 0 && row->zero_word != NULL)
        return row->zero_word;
    if (row->type == VALUE_DURATION)
        return duration_text(a, value);
    if (row->type == VALUE_SIZE)
        return size_text(a, value);
    return arena_printf(a, "%llu", (unsigned long long)value);
}

static bool has_limits(const struct row *row)
{
    return row->type == VALUE_U32 || row->type == VALUE_U16 || row->type == VALUE_DURATION ||
           row->type == VALUE_SIZE;
}

static const char *words_of(struct arena *a, const struct row *row)
{
    const char *text = "";
    for (const char *const *w = row->words; *w != NULL; w++)
        text = arena_printf(a, "%s%s%s", text, text[0] != '\0' ? ", " : "", *w);
    return text;
}

const char *emit_kind(struct arena *a, const struct row *row)
{
    const char *how = value_kinds[row->type].how;
    if (row->words != NULL && row->type != VALUE_RETRY_ON)
        return arena_printf(a, "%s%s", row->words[1] != NULL ? "one of " : "", words_of(a, row));
    if (!has_limits(row))
        return how;
    return arena_printf(a, "%s; from %s to %s%s%s", how, emit_number(a, row, row->min),
                        emit_number(a, row, row->max), row->zero_word != NULL ? ", or " : "",
                        row->zero_word != NULL ? row->zero_word : "");
}

const char *emit_inherits(const struct object *o, const struct row *row)
{
    bool server = o == &object_server || o == &object_server_defaults;
    bool defaults = (row->flags & ROW_DEFAULTS) != 0, global = (row->flags & ROW_GLOBAL) != 0;
    if (server && defaults)
        return o == &object_server ? "'server-defaults' of the backend, then of 'defaults'"
                                   : "'server-defaults' in 'defaults'";
    if (defaults && global)
        return "'defaults' and the top level";
    return defaults ? "'defaults'" : NULL;
}

// ---- scalars ----------------------------------------------------------------------------------

static bool is_plain_char(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c != '\0' && strchr("_./:-+=;()", c) != NULL);
}

static bool is_plain(struct str s)
{
    if (s.len == 0 || strchr(":-=", s.p[0]) != NULL || s.p[s.len - 1] == ':')
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (!is_plain_char(s.p[i]))
            return false;
    }
    return true;
}

const char *emit_quoted(struct arena *a, struct str s)
{
    char *out = arena_alloc(a, s.len * 4 + 3);
    size_t n = 0;
    out[n++] = '"';
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c < 0x20 || c == 0x7F) {
            n += (size_t)snprintf(out + n, 5, "\\x%02X", c);
            continue;
        }
        if (c == '"' || c == '\\')
            out[n++] = '\\';
        else if (c == '$')
            out[n++] = '$';
        out[n++] = (char)c;
    }
    out[n++] = '"';
    return out;
}

const char *emit_scalar(struct arena *a, struct str s)
{
    return is_plain(s) ? arena_strdup(a, s) : emit_quoted(a, s);
}

// SPDX-License-Identifier: MIT
// JSON escaping and writing. Pure but for the memory of the buffer; used by the access log (in
// workers, so the escape must be quick on ordinary text) and by the admin API (in control).
//
// Invariants: json_escape() writes ASCII and well-formed UTF-8 only; characters that some reader
// takes for a line end or a terminal command (U+0000-1F, 7F-9F, U+2028, U+2029) are never written
// as they are.
#include "base/json.h"

// Bytes that stand for themselves: printable ASCII but for the quote and the backslash.
static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

// How many bytes the well-formed UTF-8 sequence at `p` has that may be copied; 0: must be escaped.
// Table 3-7 of the Unicode standard: no overlong forms, no surrogates, nothing above U+10FFFF.
static size_t utf8_copyable(const unsigned char *p, size_t n)
{
    if (p[0] < 0xc2 || p[0] > 0xf4)
        return 0;
    size_t len = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (n < len)
        return 0;
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    }
    bool overlong = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xf0 && p[1] < 0x90);
    bool outside = (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf4 && p[1] > 0x8f);
    bool control = p[0] == 0xc2 && p[1] < 0xa0; // U+0080..9F: as two bytes to escape
    bool line_end = p[0] == 0xe2 && p[1] == 0x80 && (p[2] == 0xa8 || p[2] == 0xa9);
    return overlong || outside || control || line_end ? 0 : len;
}

static size_t escape_one(unsigned char c, char out[6])
{
    static const char hex[] = "0123456789abcdef", from[] = "\"\\\n\r\t", to[] = "\"\\nrt";
    const char *simple = c != 0 ? strchr(from, c) : NULL;
    out[0] = '\\';
    if (simple != NULL) {
        out[1] = to[simple - from];
        return 2;
    }
    memcpy(out + 1, "u00", 3);
    out[4] = hex[c >> 4];
    out[5] = hex[c & 15];
    return 6;
}

size_t json_escape(struct str *text, char *out, size_t room)
{
    const unsigned char *p = (const unsigned char *)text->p;
    size_t n = text->len, i = 0, written = 0;
    while (i < n) {
        if (LIKELY(is_plain(p[i]))) {
            if (written == room)
                break;
            out[written++] = (char)p[i++];
            continue;
        }
        char escaped[6];
        const void *from = p + i;
        size_t taken = utf8_copyable(p + i, n - i), len = taken;
        if (taken == 0) {
            len = escape_one(p[i], escaped);
            from = escaped;
            taken = 1;
        }
        if (len > room - written)
            break;
        memcpy(out + written, from, len);
        written += len;
        i += taken;
    }
    text->p += i;
    text->len -= i;
    return written;
}

static void put(struct json *j, const char *bytes, size_t n)
{
    if (!j->failed && !buf_append(j->out, bytes, n))
        j->failed = true;
}

static void put_quoted(struct json *j, struct str text)
{
    char piece[256];
    put(j, "\"", 1);
    while (text.len > 0)
        put(j, piece, json_escape(&text, piece, sizeof(piece)));
    put(j, "\"", 1);
}

// What stands before every value: the comma and the key.
static void begin(struct json *j, const char *key)
{
    if (j->comma)
        put(j, ",", 1);
    j->comma = true;
    if (key == NULL)
        return;
    put_quoted(j, str_of(key));
    put(j, ":", 1);
}

static void open_level(struct json *j, const char *key, const char *bracket)
{
    begin(j, key);
    put(j, bracket, 1);
    j->comma = false;
}

static void close_level(struct json *j, const char *bracket)
{
    put(j, bracket, 1);
    j->comma = true;
}

void json_object(struct json *j, const char *key)
{
    open_level(j, key, "{");
}

void json_object_end(struct json *j)
{
    close_level(j, "}");
}

void json_array(struct json *j, const char *key)
{
    open_level(j, key, "[");
}

void json_array_end(struct json *j)
{
    close_level(j, "]");
}

void json_text(struct json *j, const char *key, struct str value)
{
    begin(j, key);
    put_quoted(j, value);
}

void json_bare(struct json *j, const char *key, struct str value)
{
    begin(j, key);
    put(j, value.p, value.len);
}

void json_u64(struct json *j, const char *key, uint64_t value)
{
    char digits[20];
    json_bare(j, key, (struct str){digits, u64_to_text(value, digits)});
}

void json_bool(struct json *j, const char *key, bool value)
{
    json_bare(j, key, value ? STR("true") : STR("false"));
}

void json_null(struct json *j, const char *key)
{
    json_bare(j, key, STR("null"));
}

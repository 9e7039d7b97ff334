// SPDX-License-Identifier: MIT
// A strict JSON reader for the admin API and `evlb ctl`, recursive with a depth limit. The text
// comes from another process: anything malformed is refused, nothing is asserted.
#include "base/json_read.h"

struct cursor {
    const char *p, *end;
    struct arena *arena;
    unsigned depth;
};

static bool read_value(struct cursor *c, struct json_value *out);

static void skip_space(struct cursor *c)
{
    while (c->p < c->end && (*c->p == ' ' || *c->p == '\t' || *c->p == '\n' || *c->p == '\r'))
        c->p++;
}

static bool take(struct cursor *c, char wanted)
{
    skip_space(c);
    if (c->p == c->end || *c->p != wanted)
        return false;
    c->p++;
    return true;
}

static bool take_word(struct cursor *c, struct str word)
{
    if (!str_starts(str_from(c->p, c->end), word))
        return false;
    c->p += word.len;
    return true;
}

// ---- texts --------------------------------------------------------------------------------------

// Four hexadecimal digits.
static bool read_hex4(struct cursor *c, uint32_t *value)
{
    *value = 0;
    if (c->end - c->p < 4)
        return false;
    for (int i = 0; i < 4; i++) {
        char d = ascii_lower(*c->p++);
        if (is_digit(d))
            *value = *value * 16 + (uint32_t)(d - '0');
        else if (d >= 'a' && d <= 'f')
            *value = *value * 16 + (uint32_t)(d - 'a' + 10);
        else
            return false;
    }
    return true;
}

// UTF-8 of a code point, at most 4 bytes.
static size_t put_utf8(char *out, uint32_t code)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    size_t n = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = n - 1; i > 0; i--) {
        out[i] = (char)(0x80 | (code & 0x3F));
        code >>= 6;
    }
    out[0] = (char)(lead[n] | code);
    return n;
}

// What follows "\u"; two escapes when the first is the high half of a pair.
static bool read_code_point(struct cursor *c, uint32_t *code)
{
    uint32_t low;
    if (!read_hex4(c, code))
        return false;
    if (*code < 0xD800 || *code >= 0xE000)
        return true;
    if (*code >= 0xDC00 || !take_word(c, STR("\\u")) || !read_hex4(c, &low))
        return false;
    if (low < 0xDC00 || low >= 0xE000)
        return false;
    *code = 0x10000 + ((*code - 0xD800) << 10) + (low - 0xDC00);
    return true;
}

// What follows a backslash; writes at most 4 bytes, fewer than were read.
static bool read_escape(struct cursor *c, char *out, size_t *written)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    uint32_t code;
    char letter = c->p < c->end ? *c->p++ : '\0';
    const char *at = letter != '\0' ? strchr(from, letter) : NULL;
    if (at != NULL) {
        *out = to[at - from];
        *written = 1;
        return true;
    }
    if (letter != 'u' || !read_code_point(c, &code))
        return false;
    *written = put_utf8(out, code);
    return true;
}

// From behind the opening quote to behind the closing one.
static bool read_text(struct cursor *c, struct str *out)
{
    size_t room = 0;
    for (const char *p = c->p; p < c->end && *p != '"'; p++)
        room += *p == '\\' && p + 1 < c->end ? (size_t)(p++, 2) : 1;
    char *text = arena_alloc(c->arena, room + 1);
    size_t n = 0;
    while (c->p < c->end && *c->p != '"') {
        size_t written = 1;
        char byte = *c->p++;
        if ((unsigned char)byte < 0x20)
            return false;
        text[n] = byte;
        if (byte == '\\' && !read_escape(c, text + n, &written))
            return false;
        n += written;
    }
    if (c->p == c->end)
        return false;
    c->p++;
    *out = (struct str){text, n};
    return true;
}

// ---- numbers ------------------------------------------------------------------------------------

static bool take_digits(struct cursor *c)
{
    const char *begin = c->p;
    while (c->p < c->end && is_digit(*c->p))
        c->p++;
    return c->p > begin;
}

static bool read_number(struct cursor *c, struct str *out)
{
    const char *begin = c->p;
    (void)take_word(c, STR("-"));
    bool zero = c->p < c->end && *c->p == '0';
    const char *digits = c->p;
    if (!take_digits(c) || (zero && c->p - digits > 1))
        return false;
    if (take_word(c, STR(".")) && !take_digits(c))
        return false;
    if (take_word(c, STR("e")) || take_word(c, STR("E"))) {
        if (!take_word(c, STR("+")))
            (void)take_word(c, STR("-"));
        if (!take_digits(c))
            return false;
    }
    *out = str_from(begin, c->p);
    return true;
}

// ---- arrays and objects -------------------------------------------------------------------------

static bool read_key(struct cursor *c, struct str *key)
{
    return take(c, '"') && read_text(c, key) && take(c, ':');
}

// From behind the opening bracket to behind the closing one.
static bool read_children(struct cursor *c, struct json_value *parent, char closing)
{
    const struct json_value **tail = &parent->first;
    if (take(c, closing))
        return true;
    do {
        struct json_value *child = arena_alloc(c->arena, sizeof(*child));
        if (parent->kind == JSON_OBJECT && !read_key(c, &child->key))
            return false;
        if (!read_value(c, child))
            return false;
        *tail = child;
        tail = &child->next;
    } while (take(c, ','));
    return take(c, closing);
}

static bool read_level(struct cursor *c, struct json_value *out, enum json_kind kind, char closing)
{
    out->kind = kind;
    c->p++;
    if (++c->depth > JSON_DEPTH_MAX || !read_children(c, out, closing))
        return false;
    c->depth--;
    return true;
}

static bool read_word(struct cursor *c, struct json_value *out)
{
    out->truth = take_word(c, STR("true"));
    out->kind = JSON_BOOL;
    if (out->truth || take_word(c, STR("false")))
        return true;
    out->kind = JSON_NULL;
    return take_word(c, STR("null"));
}

static bool read_value(struct cursor *c, struct json_value *out)
{
    skip_space(c);
    if (c->p == c->end)
        return false;
    switch (*c->p) {
    case '{':
        return read_level(c, out, JSON_OBJECT, '}');
    case '[':
        return read_level(c, out, JSON_ARRAY, ']');
    case '"':
        out->kind = JSON_TEXT;
        c->p++;
        return read_text(c, &out->text);
    case 't':
    case 'f':
    case 'n':
        return read_word(c, out);
    default:
        out->kind = JSON_NUMBER;
        return read_number(c, &out->text);
    }
}

const struct json_value *json_read(struct arena *a, struct str text)
{
    struct cursor c = {.p = text.p, .end = text.p + text.len, .arena = a};
    struct json_value *root = arena_alloc(a, sizeof(*root));
    if (text.len == 0 || !read_value(&c, root))
        return NULL;
    skip_space(&c);
    return c.p == c.end ? root : NULL;
}

// ---- looking up ---------------------------------------------------------------------------------

const struct json_value *json_get(const struct json_value *v, const char *key)
{
    if (v == NULL || v->kind != JSON_OBJECT)
        return NULL;
    JSON_EACH(child, v)
    {
        if (str_eq(child->key, str_of(key)))
            return child;
    }
    return NULL;
}

struct str json_get_text(const struct json_value *v, const char *key)
{
    const struct json_value *member = json_get(v, key);
    return member != NULL && member->kind == JSON_TEXT ? member->text : STR("");
}

uint64_t json_get_u64(const struct json_value *v, const char *key)
{
    const struct json_value *member = json_get(v, key);
    uint64_t value;
    bool good = member != NULL && member->kind == JSON_NUMBER && str_to_u64(member->text, &value);
    return good ? value : 0;
}

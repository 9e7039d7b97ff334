// SPDX-License-Identifier: MIT
// Expansion of one scalar. Called by the binder for each value it reads, so that what stands under
// ignored keys (x-...) is never looked up. Results stay in the node: shared nodes (aliases) and
// values that many objects inherit are expanded once.
//
//   text:  http://${HOST:-localhost}/$$x
//          literal  | expression   | literal with $$ -> $
#include "conf/interpolate.h"

#include <errno.h>

struct expansion {
    struct arena *arena;
    const struct config_source *source;
    struct findings *findings;
    struct node *node;
    char *out;
    size_t len, cap;
    size_t at, end;  // the expression in the text of the node, braces included
    uint32_t pieces; // expressions seen
};

static void put(struct expansion *e, struct str s)
{
    if (e->len + s.len + 1 > e->cap) {
        e->cap = (e->len + s.len + 1) * 2;
        char *bigger = arena_alloc(e->arena, e->cap);
        if (e->len > 0)
            memcpy(bigger, e->out, e->len);
        e->out = bigger;
    }
    if (s.len > 0)
        memcpy(e->out + e->len, s.p, s.len);
    e->len += s.len;
    e->out[e->len] = '\0';
}

static uint32_t count_characters(const char *p, size_t n)
{
    uint32_t count = 0;
    for (size_t i = 0; i < n; i++)
        count += ((unsigned char)p[i] & 0xC0) != 0x80;
    return count;
}

// Where the expression stands in its file: searched in the line, because quotes and escapes make
// the text of a node differ from the bytes of the file.
static struct span span_of_expression(const struct expansion *e)
{
    struct span at = e->node->at;
    struct str expression = {e->node->text.p + e->at, e->end - e->at};
    if (at.file == NULL)
        return at;
    for (uint32_t line = at.line; line <= at.end_line; line++) {
        struct str text = diag_line(at.file->text, line);
        const char *found = text.len > 0 && expression.len > 0
                                ? memmem(text.p, text.len, expression.p, expression.len)
                                : NULL;
        if (found == NULL)
            continue;
        uint32_t column = count_characters(text.p, (size_t)(found - text.p)) + 1;
        uint32_t width = count_characters(found, expression.len);
        return (struct span){at.file, line, column, line, column + width};
    }
    return at;
}

#define FAIL(e, fix_text, ...)                                                                     \
    do {                                                                                           \
        struct finding *x =                                                                        \
            diag_error((e)->findings, span_of_expression(e), "config.interpolation", __VA_ARGS__); \
        diag_fix((e)->findings, x, "%s", fix_text);                                                \
    } while (0)

static struct str without_last_newline(struct str s)
{
    if (str_ends(s, STR("\n")))
        s.len--;
    if (str_ends(s, STR("\r")))
        s.len--;
    return s;
}

static bool put_file(struct expansion *e, const char *path, const char *origin)
{
    struct str content;
    int r = e->source->read_file(e->source->ctx, path, e->arena, &content);
    if (r != 0) {
        FAIL(e, "check the path and who may read it", "cannot read '%s': %s", path, strerror(-r));
        return false;
    }
    content = without_last_newline(content);
    if (content.len > 0 && memchr(content.p, '\0', content.len) != NULL) {
        FAIL(e, "use a text file", "'%s' holds a NUL byte", path);
        return false;
    }
    e->node->secret = true;
    e->node->origin = origin;
    put(e, content);
    return true;
}

static bool expand_file(struct expansion *e, struct str path)
{
    if (path.len == 0 || path.p[0] != '/') {
        FAIL(e, "write the whole path: ${file:/...}", "'%.*s' is not an absolute path", SHOW(path));
        return false;
    }
    const char *name = arena_strdup(e->arena, path);
    return put_file(e, name, arena_printf(e->arena, "file %s", name));
}

static bool is_name_char(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_credential_name(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (!is_name_char(s.p[i]) && s.p[i] != '-' && s.p[i] != '.')
            return false;
    }
    return s.len > 0 && s.p[0] != '.';
}

static bool expand_credential(struct expansion *e, struct str name)
{
    const char *directory = e->source->env(e->source->ctx, "CREDENTIALS_DIRECTORY");
    if (!is_credential_name(name)) {
        FAIL(e, "write ${cred:NAME}", "'%.*s' is not the name of a credential", SHOW(name));
        return false;
    }
    if (directory == NULL) {
        FAIL(e, "run under systemd with LoadCredential=, or use ${file:/...}",
             "there are no credentials: CREDENTIALS_DIRECTORY is not set");
        return false;
    }
    const char *path = arena_printf(e->arena, "%s/%.*s", directory, STR_FMT(name));
    return put_file(e, path, arena_printf(e->arena, "credential %.*s", STR_FMT(name)));
}

static void fail_unset(struct expansion *e, struct str name, struct str message)
{
    if (message.len > 0)
        FAIL(e, "set the variable", "%.*s: %.*s", SHOW(name), SHOW(message));
    else
        FAIL(e, arena_printf(e->arena, "set it, or write ${%.*s:-default}", SHOW(name)),
             "the environment variable %.*s is not set", SHOW(name));
}

// What stands between the braces: NAME, NAME:-default or NAME:?message.
static bool expand_variable(struct expansion *e, struct str inside)
{
    size_t n = 0;
    while (n < inside.len && is_name_char(inside.p[n]))
        n++;
    struct str name = {inside.p, n}, rest = {inside.p + n, inside.len - n};
    bool fallback = str_starts(rest, STR(":-")), demand = str_starts(rest, STR(":?"));
    if (n == 0 || is_digit(inside.p[0]) || (rest.len > 0 && !fallback && !demand)) {
        FAIL(e,
             "write ${NAME}, ${NAME:-default}, ${NAME:?message}, ${file:/...}, ${cred:NAME}; $$ is "
             "a '$'",
             "'${%.*s}' is not understood", SHOW(inside));
        return false;
    }
    const char *value = e->source->env(e->source->ctx, arena_strdup(e->arena, name));
    if (value == NULL || (rest.len > 0 && value[0] == '\0')) {
        if (!fallback) {
            fail_unset(e, name, demand ? (struct str){rest.p + 2, rest.len - 2} : STR_NONE);
            return false;
        }
        put(e, (struct str){rest.p + 2, rest.len - 2});
        return true;
    }
    if (e->node->origin == NULL)
        e->node->origin = arena_printf(e->arena, "env %.*s", STR_FMT(name));
    put(e, str_of(value));
    return true;
}

static bool expand_one(struct expansion *e, struct str inside)
{
    struct str file = STR("file:"), credential = STR("cred:");
    if (memmem(inside.p, inside.len, "${", 2) != NULL) {
        FAIL(e, "use one level", "'${' inside of '${...}'");
        return false;
    }
    if (str_starts(inside, file))
        return expand_file(e, (struct str){inside.p + file.len, inside.len - file.len});
    if (str_starts(inside, credential))
        return expand_credential(
            e, (struct str){inside.p + credential.len, inside.len - credential.len});
    return expand_variable(e, inside);
}

// Takes what begins with the '$' at e->at; e->end is behind it afterwards.
static bool expand_dollar(struct expansion *e)
{
    struct str text = e->node->text;
    struct str rest = {text.p + e->at, text.len - e->at};
    e->end = e->at + 1;
    if (rest.len > 1 && rest.p[1] == '$') {
        e->end = e->at + 2;
        put(e, STR("$"));
        return true;
    }
    if (rest.len < 2 || rest.p[1] != '{') {
        put(e, STR("$"));
        return true;
    }
    size_t close = str_find(rest, '}');
    e->end = e->at + MIN_OF(close + 1, rest.len);
    if (close == rest.len) {
        FAIL(e, "close it with '}', or write $${ for the text itself", "'${' without '}'");
        return false;
    }
    e->pieces++;
    return expand_one(e, (struct str){rest.p + 2, close - 2});
}

bool interpolate(struct arena *a, const struct config_source *source, struct findings *f,
                 struct node *n)
{
    if (n->expanded)
        return !n->poisoned;
    n->expanded = true;
    n->value = n->text;
    if (str_find(n->text, '$') == n->text.len)
        return true;
    struct expansion e = {.arena = a, .source = source, .findings = f, .node = n};
    while (e.at < n->text.len) {
        struct str rest = {n->text.p + e.at, n->text.len - e.at};
        size_t plain = str_find(rest, '$');
        put(&e, (struct str){rest.p, plain});
        e.at += plain;
        if (e.at < n->text.len && !expand_dollar(&e)) {
            n->poisoned = true;
            return false;
        }
        e.at = MAX_OF(e.at, e.end);
    }
    n->value = (struct str){e.out != NULL ? e.out : "", e.len};
    return true;
}

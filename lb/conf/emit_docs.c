// SPDX-License-Identifier: MIT
// The reference (Markdown), the man page (scdoc) and the starter file: made from the rows, so that
// they cannot say anything else than the parser does. docs/configuration.md in the tree equals
// config_reference(); a test compares them.
#include <stdio.h>

#include "conf/emit.h"
#include "conf/load.h"

// ---- Markdown ---------------------------------------------------------------------------------

static const char *const intro =
    "# Configuration\n"
    "\n"
    "*This page is made from the table of keys (`lb/conf/schema.c`).*\n"
    "\n"
    "evlb reads one YAML file (`evlb run -c FILE`), a directory (all its `*.yaml`), or standard\n"
    "input (`-`). The shortest file:\n"
    "\n"
    "```yaml\n"
    "listen: 80\n"
    "servers:\n"
    "  - 10.0.0.11:8080\n"
    "  - 10.0.0.12:8080\n"
    "```\n"
    "\n"
    "The same with names:\n"
    "\n"
    "```yaml\n"
    "frontends:\n"
    "  web: {listen: 80, backend: app}\n"
    "backends:\n"
    "  app: [10.0.0.11:8080, 10.0.0.12:8080]\n"
    "```\n"
    "\n"
    "`evlb check` says what is wrong and what to write instead; `evlb explain` prints the "
    "effective\n"
    "configuration with the origin of every value; `evlb explain KEY` prints what is written "
    "here.\n"
    "\n"
    "## Rules\n"
    "\n"
    "* Unknown keys, keys given twice and keys of later versions are errors. A key that begins "
    "with\n"
    "  `x-` is ignored: a place for anchors.\n"
    "* Where a list is expected, a single value is a list of one.\n"
    "* Booleans are `true` and `false` and nothing else.\n"
    "* Names of frontends, backends and servers: letters, digits, `_`, `.`, `-`; at most 64.\n"
    "* In a value, `${VAR}` is an environment variable, `${VAR:-text}` one with a default,\n"
    "  `${VAR:?message}` one that must be set, `${file:/path}` the content of a file (its last "
    "line\n"
    "  break removed), `${cred:NAME}` a systemd credential, and `$$` a `$`. They are replaced "
    "after\n"
    "  the YAML is read: a value cannot become structure.\n"
    "* A request that no route of its frontend matches gets 404.\n"
    "* `frontends` and `backends` of included files are merged by name; any other key may stand "
    "in\n"
    "  one of the files only.\n"
    "* At most 64 levels of nesting, 1,000,000 values, 10,000 aliases, 8 levels of `include` and\n"
    "  16 MiB per file.\n"
    "\n"
    "## Kinds of values\n"
    "\n";

static void put_kinds(FILE *out)
{
    for (size_t i = 0; i < VALUE_PLANNED; i++) {
        const struct value_kind *k = &value_kinds[i];
        bool before = i > 0 && strcmp(k->name, value_kinds[i - 1].name) == 0;
        if (!before && i != VALUE_HEADERS && i != VALUE_OBJECT)
            fprintf(out, "* **%s**: %s\n", k->name, k->how);
    }
}

static void put_markdown_row(const struct object *o, const struct row *row, struct arena *a,
                             FILE *out)
{
    const char *inherits = emit_inherits(o, row);
    fprintf(out, "\n### `%s`\n\n%s\n\n* Value: %s\n", row->key, row->doc, emit_kind(a, row));
    if (row->fallback != NULL)
        fprintf(out, "* Default: `%s`\n", row->fallback);
    if ((row->flags & ROW_REQUIRED) != 0)
        fputs("* Required\n", out);
    if (inherits != NULL)
        fprintf(out, "* When not said: taken from %s\n", inherits);
    if ((row->flags & ROW_HTTP) != 0)
        fputs("* Only in mode http\n", out);
    if ((row->flags & ROW_RESTART) != 0)
        fputs("* A change needs a restart\n", out);
    fprintf(out, "* Since %s. Example: `%s: %s`\n", row->since, row->key, row->example);
}

static void put_planned(const struct object *o, FILE *out)
{
    const char *separator = "\nPlanned for later versions: ";
    for (size_t i = 0; i < o->n_rows; i++) {
        if (!emit_is_planned(&o->rows[i]))
            continue;
        fprintf(out, "%s`%s`", separator, o->rows[i].key);
        separator = ", ";
    }
    if (separator[0] == ',')
        fputs(".\n", out);
}

static void put_markdown_object(const struct object *o, FILE *out)
{
    struct arena *a = arena_new();
    fprintf(out, "\n## %s%s%s\n\n%s\n", o->path[0] != '\0' ? "`" : "",
            o->path[0] != '\0' ? o->path : "The top level", o->path[0] != '\0' ? "`" : "", o->doc);
    for (size_t i = 0; i < o->n_rows; i++) {
        if (!emit_is_planned(&o->rows[i]))
            put_markdown_row(o, &o->rows[i], a, out);
    }
    put_planned(o, out);
    arena_free(a);
}

void config_reference(FILE *out)
{
    fputs(intro, out);
    put_kinds(out);
    for (size_t o = 0; schema_objects[o] != NULL; o++)
        put_markdown_object(schema_objects[o], out);
}

// ---- scdoc ------------------------------------------------------------------------------------

// scdoc gives '*', '_' and '\' a meaning, and a '#' or '.' at the begin of a line.
static void put_escaped(const char *text, FILE *out)
{
    for (; *text != '\0'; text++) {
        if (strchr("*_\\<>#`~[]", *text) != NULL)
            fputc('\\', out);
        fputc(*text, out);
    }
}

static void put_man_row(const struct object *o, const struct row *row, struct arena *a, FILE *out)
{
    const char *inherits = emit_inherits(o, row);
    fprintf(out, "*%s*\n\t", row->key);
    put_escaped(row->doc, out);
    fputs("\n\n\tValue: ", out);
    put_escaped(emit_kind(a, row), out);
    fputs(".", out);
    if (row->fallback != NULL)
        fprintf(out, " Default: %s.", row->fallback);
    if (inherits != NULL)
        fprintf(out, " When not said: from %s.", inherits);
    if ((row->flags & ROW_HTTP) != 0)
        fputs(" Only in mode http.", out);
    if ((row->flags & ROW_RESTART) != 0)
        fputs(" A change needs a restart.", out);
    fputs("\n\n", out);
}

static void put_man_object(const struct object *o, FILE *out)
{
    struct arena *a = arena_new();
    fputs("# ", out);
    for (const char *p = o->path[0] != '\0' ? o->path : "The top level"; *p != '\0'; p++)
        fputc(*p >= 'a' && *p <= 'z' ? *p - 'a' + 'A' : *p, out);
    fputs("\n\n", out);
    put_escaped(o->doc, out);
    fputs("\n\n", out);
    for (size_t i = 0; i < o->n_rows; i++) {
        if (!emit_is_planned(&o->rows[i]))
            put_man_row(o, &o->rows[i], a, out);
    }
    arena_free(a);
}

void config_man_page(FILE *out)
{
    fputs(
        "evlb.yaml(5)\n\n# NAME\n\nevlb.yaml - configuration of the load balancer evlb\n\n"
        "# DESCRIPTION\n\nA YAML file. Unknown keys and keys given twice are errors; a key that "
        "begins with x- is ignored. Where a list is expected, a single value is a list of one. In "
        "a value, ${VAR} is an environment variable, ${VAR:-text} one with a default, "
        "${VAR:?message} one that must be set, ${file:/path} the content of a file, ${cred:NAME} a "
        "systemd credential and $$ a $.\n\n"
        "```\nfrontends:\n  web: {listen: 80, backend: app}\n"
        "backends:\n  app: [10.0.0.11:8080, 10.0.0.12:8080]\n```\n\n",
        out);
    for (size_t o = 0; schema_objects[o] != NULL; o++)
        put_man_object(schema_objects[o], out);
    fputs("# SEE ALSO\n\n*evlb*(1)\n", out);
}

// ---- starter ----------------------------------------------------------------------------------

static void put_commented(const struct object *o, const char *key, const char *indent, FILE *out)
{
    const struct row *row = schema_row(o, str_of(key));
    int used = fprintf(out, "#%s%s: %s", indent, key, row->fallback);
    fprintf(out, "%*s# %s\n", used < 30 ? 30 - used : 1, "", row->doc);
}

static void put_timeouts(FILE *out)
{
    static const char *const shown[] = {"connect",    "client", "server", "request",
                                        "keep-alive", "tunnel", "idle",   "shutdown"};
    fputs("\n# How long is too long (these are the defaults):\n#timeout:\n", out);
    for (size_t i = 0; i < ARRAY_LEN(shown); i++)
        put_commented(&object_timeouts, shown[i], "  ", out);
}

void config_starter(FILE *out)
{
    fputs("# yaml-language-server: $schema=/usr/share/evlb/evlb.schema.json\n"
          "# Configuration of evlb. Check it with: evlb check -c THIS-FILE\n"
          "# All that is in effect, with its origin: evlb explain -c THIS-FILE\n"
          "version: 1\n"
          "\n"
          "# Where clients arrive.\n"
          "frontends:\n"
          "  web:\n"
          "    listen: 8080                # all addresses; or 127.0.0.1:8080, or a list\n"
          "    backend: app                # where everything goes that no route takes\n"
          "    #routes:                    # the first that matches wins\n"
          "    #  - {host: www.example.com, path: /old/, redirect: "
          "\"https://www.example.com/new/\"}\n"
          "    #  - {path: /internal/, deny: 403}\n"
          "\n"
          "# Where they go.\n"
          "backends:\n"
          "  app:\n"
          "    balance: round-robin        # or least-conn, random, first, hash\n"
          "    #health: GET /healthz       # else: whether it takes a connection, every 2s\n"
          "    #failover: active-passive   # one works, the next in the list stands by\n"
          "    #headers: {set: {X-Env: prod}, response: {remove: [Server]}}\n"
          "    servers:\n"
          "      a: 127.0.0.1:9001\n"
          "      b: {address: 127.0.0.1:9002, weight: 2}\n",
          out);
    put_timeouts(out);
    fputs("\n# What is logged: true for standard error, or the path of a file.\n"
          "#log: {level: info, access: true}\n"
          "\n"
          "# Further files; their frontends and backends are added.\n"
          "#include: [conf.d/*.yaml]\n",
          out);
}

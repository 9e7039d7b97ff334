// SPDX-License-Identifier: MIT
// `evlb ctl certs`: the certificates that a running evlb shows to clients, and below what clients
// and servers are verified by and what servers are shown, as tables of at most 80 columns, some of
// them in full, or as JSON; and to have them read again.
#include <time.h>

#include "cli/ctl_client.h"
#include "cli/ctl_text.h"
#include "cli/source.h"

#define RELOAD_SECONDS 60

// ---- words --------------------------------------------------------------------------------------

// A list of texts, ", " between them.
static const char *listed(struct arena *a, const struct json_value *texts)
{
    const char *all = "";
    JSON_EACH(text, texts)
    {
        all = arena_printf(a, "%s%s%.*s", all, all[0] != '\0' ? ", " : "", STR_FMT(text->text));
    }
    return all;
}

static const char *number(struct arena *a, const struct json_value *cert, const char *key)
{
    const struct json_value *v = json_get(cert, key);
    return v != NULL ? arena_strdup(a, v->text) : "";
}

// The last part of a path, and the one before it where the last says nothing (certbot's).
static struct str short_path(struct str path)
{
    size_t wanted = str_ends(path, STR("/fullchain.pem")) ? 2 : 1, slashes = 0;
    for (size_t i = path.len; i > 0; i--) {
        if (path.p[i - 1] == '/' && ++slashes == wanted)
            return (struct str){path.p + i, path.len - i};
    }
    return path;
}

// The common name alone, where there is one.
static struct str short_name(struct str name)
{
    for (struct str rest = name; rest.p != NULL;) {
        struct str part = str_trim(str_cut(&rest, ','));
        if (str_starts(part, STR("CN=")))
            return (struct str){part.p + 3, part.len - 3};
    }
    return name;
}

static const char *day(struct arena *a, const struct json_value *v, const char *key)
{
    time_t at = (time_t)(json_get_u64(v, key) / 1000);
    struct tm tm;
    char text[32];
    if (at == 0 || gmtime_r(&at, &tm) == NULL ||
        strftime(text, sizeof(text), "%Y-%m-%d %H:%M UTC", &tm) == 0)
        return "?";
    return arena_strdup(a, str_of(text));
}

// ---- all of them --------------------------------------------------------------------------------

// What clients get that ask for no name of these; of one alone that needs no saying.
static bool is_default_of_several(const struct json_value *cert, const struct json_value *certs)
{
    const struct json_value *is_default = json_get(cert, "default");
    struct str frontend = json_get_text(cert, "frontend");
    uint32_t n = 0;
    if (is_default == NULL || !is_default->truth)
        return false;
    JSON_EACH(other, certs)
    {
        n += str_eq(json_get_text(other, "frontend"), frontend);
    }
    return n > 1;
}

static void print_table(struct arena *a, const struct json_value *certs)
{
    static const char *const heads[] = {"FRONTEND", "NAMES", "ISSUER", "KEY",
                                        ">DAYS",    "OCSP",  "FILE"};
    struct table t = {.arena = a, .heads = heads, .columns = ARRAY_LEN(heads)};
    bool marked = false;
    JSON_EACH(cert, certs)
    {
        struct str frontend = json_get_text(cert, "frontend"), key = json_get_text(cert, "key");
        struct str issuer = short_name(json_get_text(cert, "issuer"));
        struct str ocsp = json_get_text(json_get(cert, "ocsp"), "state");
        struct str file = short_path(json_get_text(cert, "file"));
        const char *names = listed(a, json_get(cert, "names"));
        table_cell(&t, "%.*s", STR_FMT(frontend));
        table_cell(&t, "%s", names[0] != '\0' ? names : "-");
        table_cell(&t, "%.*s", STR_FMT(issuer));
        table_cell(&t, "%.*s", STR_FMT(key));
        table_cell(&t, "%s", number(a, cert, "days_left"));
        table_cell(&t, "%.*s", STR_FMT(str_eq(ocsp, STR("none")) ? STR("-") : ocsp));
        bool is_default = is_default_of_several(cert, certs);
        table_cell(&t, "%.*s%s", STR_FMT(file), is_default ? " *" : "");
        marked |= is_default;
    }
    if (t.count == 0)
        printf("no frontend has a certificate\n");
    else
        table_print(&t, stdout, TABLE_WIDTH);
    if (marked)
        printf("* the default: for clients that ask for no name, or for another\n");
}

// ---- beside them --------------------------------------------------------------------------------

// "frontend web".
static const char *whose(struct arena *a, const struct json_value *peer)
{
    struct str frontend = json_get_text(peer, "frontend");
    if (frontend.len > 0)
        return arena_printf(a, "frontend %.*s", STR_FMT(frontend));
    return arena_printf(a, "backend %.*s", STR_FMT(json_get_text(peer, "backend")));
}

static bool has_expired(const struct json_value *v)
{
    uint64_t end_ms = json_get_u64(v, "not_after_ms");
    return end_ms != 0 && end_ms / 1000 < (uint64_t)time(NULL);
}

static const char *short_names(struct arena *a, const struct json_value *names)
{
    const char *all = "";
    JSON_EACH(name, names)
    {
        all = arena_printf(a, "%s%s%.*s", all, all[0] != '\0' ? ", " : "",
                           STR_FMT(short_name(name->text)));
    }
    return all;
}

static const char *days_text(struct arena *a, const struct json_value *peer)
{
    if (json_get_u64(peer, "not_after_ms") == 0)
        return "-";
    return has_expired(peer) ? "expired" : number(a, peer, "days_left");
}

static void print_warnings(struct arena *a, const struct json_value *peer)
{
    JSON_EACH(warning, json_get(peer, "warnings"))
    {
        ctl_print_item("warning", arena_strdup(a, warning->text));
    }
}

static void print_peers(struct arena *a, const struct json_value *peers)
{
    static const char *const heads[] = {"OF", "SETTING", "NAMES", ">DAYS", "FILE"};
    struct table t = {.arena = a, .heads = heads, .columns = ARRAY_LEN(heads)};
    JSON_EACH(peer, peers)
    {
        struct str setting = json_get_text(peer, "setting");
        struct str file = short_path(json_get_text(peer, "file"));
        table_cell(&t, "%s", whose(a, peer));
        table_cell(&t, "%.*s", STR_FMT(setting));
        table_cell(&t, "%s", short_names(a, json_get(peer, "names")));
        table_cell(&t, "%s", days_text(a, peer));
        table_cell(&t, "%.*s", STR_FMT(file));
    }
    if (t.count == 0)
        return;
    printf("\n");
    table_print(&t, stdout, TABLE_WIDTH);
    JSON_EACH(peer, peers)
    {
        print_warnings(a, peer);
    }
}

// ---- some in full -------------------------------------------------------------------------------

static const char *ocsp_text(struct arena *a, const struct json_value *ocsp)
{
    struct str state = json_get_text(ocsp, "state"), why = json_get_text(ocsp, "reason");
    if (why.len > 0)
        return arena_strdup(a, why);
    if (json_get_u64(ocsp, "until_ms") == 0)
        return arena_strdup(a, state);
    return arena_printf(a, "%.*s until %s", STR_FMT(state), day(a, ocsp, "until_ms"));
}

static const char *until_text(struct arena *a, const struct json_value *cert)
{
    const char *day_s = day(a, cert, "not_after_ms"), *left = number(a, cert, "days_left");
    if (json_get_u64(cert, "not_after_ms") == 0)
        return "no end";
    if (has_expired(cert))
        return arena_printf(a, "%s, it has expired", day_s);
    return arena_printf(a, "%s, %s days left", day_s, left);
}

static void print_text(struct arena *a, const struct json_value *cert, const char *name,
                       const char *key)
{
    ctl_print_item(name, arena_strdup(a, json_get_text(cert, key)));
}

static void print_whole(struct arena *a, const struct json_value *cert)
{
    struct str file = json_get_text(cert, "file"), frontend = json_get_text(cert, "frontend");
    const struct json_value *is_default = json_get(cert, "default");
    printf("%.*s\n", STR_FMT(file));
    ctl_print_item("frontend",
                   arena_printf(a, "%.*s (%s)%s", STR_FMT(frontend),
                                listed(a, json_get(cert, "listen")),
                                is_default != NULL && is_default->truth ? ", its default" : ""));
    ctl_print_item("names", listed(a, json_get(cert, "names")));
    print_text(a, cert, "subject", "subject");
    print_text(a, cert, "issuer", "issuer");
    print_text(a, cert, "serial", "serial");
    print_text(a, cert, "key", "key");
    print_text(a, cert, "key in", "key_file");
    ctl_print_item("valid from", day(a, cert, "not_before_ms"));
    ctl_print_item("until", until_text(a, cert));
    ctl_print_item("OCSP", ocsp_text(a, json_get(cert, "ocsp")));
}

static void print_whole_peer(struct arena *a, const struct json_value *peer)
{
    printf("%.*s\n", STR_FMT(json_get_text(peer, "file")));
    ctl_print_item("setting", arena_printf(a, "%.*s of %s", STR_FMT(json_get_text(peer, "setting")),
                                           whose(a, peer)));
    ctl_print_item("names", listed(a, json_get(peer, "names")));
    ctl_print_item("until", until_text(a, peer));
    print_warnings(a, peer);
}

static bool holds(struct str text, struct str part)
{
    return memmem(text.p, text.len, part.p, part.len) != NULL;
}

static bool is_meant(const struct json_value *cert, struct str part)
{
    JSON_EACH(name, json_get(cert, "names"))
    {
        if (holds(name->text, part))
            return true;
    }
    return holds(json_get_text(cert, "file"), part) || holds(json_get_text(cert, "subject"), part);
}

// Returns how many there are, with the `n` before.
static uint32_t print_each(struct arena *a, const struct json_value *all, const char *part,
                           void (*print)(struct arena *a, const struct json_value *v), uint32_t n)
{
    JSON_EACH(v, all)
    {
        if (!is_meant(v, str_of(part)))
            continue;
        if (n++ > 0)
            printf("\n");
        print(a, v);
    }
    return n;
}

static int print_meant(struct arena *a, const struct json_value *answer, const char *part)
{
    uint32_t n = print_each(a, json_get(answer, "certificates"), part, print_whole, 0);
    if (print_each(a, json_get(answer, "peers"), part, print_whole_peer, n) > 0)
        return EXIT_OK;
    fprintf(stderr, "evlb: no certificate in force has '%s' in a name or in its file name\n", part);
    return EXIT_NO_OBJECT;
}

// ---- the command --------------------------------------------------------------------------------

static int show(struct ctl *ctl)
{
    struct ctl_answer answer;
    int status = ctl_get(ctl, "/v1/certs", &answer);
    if (status != EXIT_OK)
        return status;
    if (cli_wants_json(ctl->cli))
        return ctl_print(&answer);
    if (ctl->cli->n_operands > 0)
        return print_meant(ctl->arena, answer.json, ctl->cli->operands[0]);
    print_table(ctl->arena, json_get(answer.json, "certificates"));
    print_peers(ctl->arena, json_get(answer.json, "peers"));
    return EXIT_OK;
}

static int reload(struct ctl *ctl)
{
    struct ctl_answer answer;
    const struct ctl_request r = {
        .method = "POST", .target = "/v1/certs/reload", .seconds = RELOAD_SECONDS};
    int status = ctl_ask(ctl, &r, &answer);
    if (status != EXIT_OK)
        return status;
    bool all = json_get_u64(answer.json, "kept") == 0;
    struct str text = json_get_text(answer.json, "text");
    if (cli_wants_json(ctl->cli))
        status = ctl_print(&answer);
    else
        ctl_print_lines(text.len > 0 ? text : STR("no changes"));
    return status == EXIT_OK && !all ? EXIT_FAILED : status;
}

int cmd_ctl_certs(const struct cli *cli)
{
    bool again = cli->n_operands > 0 && strcmp(cli->operands[0], "reload") == 0;
    return ctl_run(cli, again ? reload : show);
}

// SPDX-License-Identifier: MIT
#include "conf/bundle.h"

#include "conf_test.h"

static const struct memory_file files[] = {
    {"evlb.yaml", "include: [conf.d/*.yaml]\nfrontends:\n"
                  "  web: {listen: ['${PORT}', 81], backend: app}\n"
                  "log: {level: '${LEVEL:-warning}'}\n"},
    {"conf.d/app.yaml", "backends:\n  app: {servers: {a: '${HOST}:80', b: 10.0.0.2:80}}\n"},
    {"conf.d/more.yaml", "backends:\n  more: {servers: ['${file:/host}:8080']}\n"},
    {"/host", "10.0.0.9\n"},
    {NULL, NULL},
};
static const char *const env[] = {"PORT", "8080", "HOST", "10.0.0.1", NULL};

struct recorded {
    struct memory memory;
    struct config_source source;
    struct bundle *bundle;
    struct config *config;
    struct buf bytes;
};

static void record_from(struct recorded *r, const struct memory_file *from, const char *const *vars)
{
    struct findings f;
    memset(r, 0, sizeof(*r));
    r->memory = (struct memory){from, vars};
    r->source = memory_source(&r->memory, "evlb.yaml", NULL);
    r->bundle = bundle_new();
    struct config_source recording = bundle_record(r->bundle, &r->source);
    findings_init(&f);
    r->config = config_load(&recording, &f);
    assert_non_null(r->config);
    findings_free(&f);
    r->config->servers[0].index = 17;
    r->config->servers[2].index = 4;
    r->config->backends[1].index = 9;
    r->config->frontends[0].index = 5;
    r->config->frontends[0].listens[1].number = 77;
    assert_true(bundle_write(r->bundle, &r->source, r->config, BUNDLE_FOR_WORKERS, &r->bytes));
}

static void record(struct recorded *r)
{
    record_from(r, files, env);
}

static void forget(struct recorded *r)
{
    arena_free(r->config->arena);
    bundle_free(r->bundle);
    buf_release(&r->bytes);
}

static struct config *load(const char *p, size_t n)
{
    char why[BUNDLE_WHY];
    struct config *c = bundle_load((struct str){p, n}, why);
    assert_true(c != NULL || why[0] != '\0');
    return c;
}

static void plays_what_was_recorded(void **state)
{
    (void)state;
    struct recorded r;
    char address[ADDR_TEXT];
    record(&r);
    size_t n = buf_len(&r.bytes);
    char *copy = xmalloc(n);
    memcpy(copy, buf_head(&r.bytes), n);
    struct config *c = load(copy, n);
    memset(copy, 'x', n); // nothing of the configuration may point into the bytes
    free(copy);
    assert_non_null(c);
    assert_int_equal(c->n_servers, 3);
    assert_int_equal(c->log_level, LOG_WARNING);
    addr_format(&c->servers[0].addr, address);
    assert_string_equal(address, "10.0.0.1:80");
    addr_format(&c->servers[2].addr, address);
    assert_string_equal(address, "10.0.0.9:8080");
    assert_string_equal(c->backends[1].name.p, "more");
    assert_string_equal(c->backends[1].mark.file, "conf.d/more.yaml");
    assert_int_equal(c->servers[0].index, 17);
    assert_int_equal(c->servers[1].index, 1);
    assert_int_equal(c->servers[2].index, 4);
    assert_int_equal(c->backends[1].index, 9);
    assert_int_equal(c->frontends[0].index, 5);
    assert_int_equal(c->frontends[0].listens[1].number, 77);
    arena_free(c->arena);
    forget(&r);
}

static void plays_under_another_overlay(void **state)
{
    (void)state;
    struct recorded r;
    char why[BUNDLE_WHY];
    record(&r);
    struct str bytes = {buf_head(&r.bytes), buf_len(&r.bytes)};
    struct config *c = bundle_load_over(bytes, STR("remove app/b\nadd app/z 10.0.0.3:80\n"), why);
    assert_non_null(c);
    assert_int_equal(c->n_servers, 3);
    assert_string_equal(c->servers[1].name.p, "z");
    arena_free(c->arena);
    assert_null(bundle_load_over(bytes, STR("nonsense"), why));
    assert_non_null(strstr(why, "neither 'add' nor 'remove'"));
    bytes.len /= 2;
    assert_null(bundle_load_over(bytes, STR(""), why));
    assert_string_equal(why, "it is no bundle of this version");
    forget(&r);
}

static void refuses_bytes_that_are_no_bundle(void **state)
{
    (void)state;
    struct recorded r;
    record(&r);
    size_t n = buf_len(&r.bytes);
    for (size_t cut = 0; cut < n; cut++) {
        char *copy = xmalloc(cut + 1); // exactly so long that the sanitizer sees a step beyond
        memcpy(copy, buf_head(&r.bytes), cut);
        assert_null(load(copy, cut));
        free(copy);
    }
    forget(&r);
}

static void survives_any_flipped_byte(void **state)
{
    (void)state;
    struct recorded r;
    record(&r);
    size_t n = buf_len(&r.bytes);
    for (size_t at = 0; at < n; at++) {
        for (int bit = 0; bit < 8; bit += 7) {
            char *copy = xmalloc(n);
            memcpy(copy, buf_head(&r.bytes), n);
            copy[at] = (char)(copy[at] ^ (1 << bit));
            struct config *c = load(copy, n);
            if (c != NULL)
                arena_free(c->arena);
            free(copy);
        }
    }
    forget(&r);
}

static int changing_reads;
static int changing_file(void *ctx, const char *path, struct arena *a, struct str *content)
{
    (void)ctx;
    if (strcmp(path, "evlb.yaml") == 0)
        *content = arena_str(
            a, STR("listen: 80\nservers: ['10.0.0.${file:/n}:80', '10.0.0.${file:/n}:81']\n"));
    else
        *content = arena_str(a, changing_reads++ == 0 ? STR("1") : STR("2"));
    return 0;
}

static void reads_every_file_once(void **state)
{
    (void)state;
    struct memory memory = {NULL, NULL};
    struct config_source source = memory_source(&memory, "evlb.yaml", NULL);
    source.read_file = changing_file;
    struct bundle *b = bundle_new();
    struct config_source recording = bundle_record(b, &source);
    struct findings f;
    findings_init(&f);
    struct config *c = config_load(&recording, &f);
    assert_non_null(c);
    assert_int_equal(changing_reads, 1);
    assert_string_equal(c->servers[1].host.len > 0 ? c->servers[1].host.p : "", "10.0.0.1");
    arena_free(c->arena);
    findings_free(&f);
    bundle_free(b);
}

static void keeps_text_and_overlay(void **state)
{
    (void)state;
    struct memory memory = {NULL, NULL};
    struct config_source source = memory_source(&memory, "command line", NULL);
    source.text = STR("listen: 80\nservers: [10.0.0.1:80]\n");
    source.overlay = STR("add default/x 10.0.0.2:80\n");
    struct bundle *b = bundle_new();
    struct config_source recording = bundle_record(b, &source);
    struct findings f;
    findings_init(&f);
    struct config *c = config_load(&recording, &f);
    assert_non_null(c);
    struct buf out = {0};
    assert_true(bundle_write(b, &source, c, BUNDLE_FOR_WORKERS, &out));
    struct config *played = load(buf_head(&out), buf_len(&out));
    assert_non_null(played);
    assert_true(str_eq(played->overlay, source.overlay));
    assert_int_equal(played->n_servers, 2);
    assert_string_equal(played->frontends[0].listens[0].mark.file, "command line");
    arena_free(played->arena);
    buf_release(&out);
    arena_free(c->arena);
    findings_free(&f);
    bundle_free(b);
}

// As a reload asks: another answer, another question, or one more is another recording.
static void knows_what_has_changed(void **state)
{
    (void)state;
    static const char *const other_env[] = {"PORT", "8080", "HOST", "10.0.0.7", NULL};
    struct memory_file other_files[ARRAY_LEN(files)];
    struct recorded a, b;
    record(&a);
    record(&b);
    assert_true(bundle_same(a.bundle, b.bundle));
    forget(&b);
    record_from(&b, files, other_env);
    assert_false(bundle_same(a.bundle, b.bundle));
    forget(&b);
    for (size_t i = 0; files[i].path != NULL; i++) {
        memcpy(other_files, files, sizeof(files));
        bool yaml = str_ends(str_of(files[i].path), STR(".yaml"));
        other_files[i].text =
            yaml ? arena_printf(a.config->arena, "%s# more\n", files[i].text) : "10.0.0.8\n";
        record_from(&b, other_files, env);
        assert_false(bundle_same(a.bundle, b.bundle));
        forget(&b);
    }
    forget(&a);
}

// What is read anew without the rest: all of it is asked for, keys are not for control.
static void count_path(void *ctx, const char *path)
{
    (void)path;
    ++*(uint32_t *)ctx;
}

static bool holds(const struct buf *b, const char *text)
{
    return memmem(buf_head(b), buf_len(b), text, strlen(text)) != NULL;
}

static void control_gets_no_secret(void **state)
{
    (void)state;
    static const struct memory_file tls_files[] = {
        {"evlb.yaml", "listen: 80\nservers: [10.0.0.1:80]\nhealth: {client-cert: check.pem}\n"
                      "server-defaults: {tls: {ca: ca.pem, client-cert: own.pem}}\n"},
        {"ca.pem", "the authorities"},
        {"own.pem", "our CERTIFICATE----- PRIVATE KEY-----"},
        {"check.pem", "the check's CERTIFICATE----- PRIVATE KEY-----"},
        {NULL, NULL},
    };
    struct memory memory = {tls_files, NULL};
    struct config_source source = memory_source(&memory, "evlb.yaml", NULL);
    struct bundle *b = bundle_new();
    struct config_source recording = bundle_record(b, &source);
    struct findings f;
    findings_init(&f);
    struct config *c = config_load(&recording, &f);
    assert_non_null(c);
    struct buf workers = {0}, control = {0};
    assert_true(bundle_write(b, &source, c, BUNDLE_FOR_WORKERS, &workers));
    assert_true(bundle_write(b, &source, c, BUNDLE_FOR_CONTROL, &control));
    assert_true(holds(&workers, "our CERT") && holds(&control, "own.pem"));
    assert_false(holds(&control, "our CERT"));
    assert_true(holds(&control, "the authorities") && holds(&control, "the check's"));
    struct config *played = load(buf_head(&control), buf_len(&control));
    assert_non_null(played);
    assert_true(str_eq(played->servers[0].tls->terms.ca, STR("the authorities")));
    assert_int_equal(played->servers[0].tls->client_cert->pem.key.len, 0);
    assert_true(played->backends[0].health.client_cert->pem.key.len > 0);
    uint32_t live = 0;
    bundle_each_live(b, count_path, &live);
    assert_int_equal(live, 3 + 2 * 2); // two certificates, each with two names of an OCSP answer
    arena_free(played->arena);
    arena_free(c->arena);
    buf_release(&workers);
    buf_release(&control);
    findings_free(&f);
    bundle_free(b);
}

// A directory may have the name of a pattern.
static void tells_directories_from_patterns(void **state)
{
    (void)state;
    static const struct memory_file same_name[] = {
        {"certs", "listen: 80\n"}, {"certs/a.pem", "a CERTIFICATE-----"}, {NULL, NULL}};
    struct memory memory = {same_name, NULL};
    struct config_source source = memory_source(&memory, "evlb.yaml", NULL);
    struct bundle *b = bundle_new();
    struct arena *a = arena_new();
    struct config_source recording = bundle_record(b, &source);
    for (int i = 0; i < 3; i++) { // from the files, from the recording, from a replay of it
        const char **paths = NULL;
        size_t n = 0;
        assert_int_equal(recording.glob(recording.ctx, "certs", a, &paths, &n), 0);
        assert_true(n == 1 && strcmp(paths[0], "certs") == 0);
        assert_int_equal(recording.list_live(recording.ctx, "certs", a, &paths, &n), 0);
        assert_true(n == 1 && strcmp(paths[0], "certs/a.pem") == 0);
        if (i == 1)
            recording = bundle_replay(b, &source, a);
    }
    arena_free(a);
    bundle_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plays_what_was_recorded),
        cmocka_unit_test(plays_under_another_overlay),
        cmocka_unit_test(refuses_bytes_that_are_no_bundle),
        cmocka_unit_test(survives_any_flipped_byte),
        cmocka_unit_test(reads_every_file_once),
        cmocka_unit_test(keeps_text_and_overlay),
        cmocka_unit_test(knows_what_has_changed),
        cmocka_unit_test(control_gets_no_secret),
        cmocka_unit_test(tells_directories_from_patterns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

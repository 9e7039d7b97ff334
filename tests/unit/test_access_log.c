// SPDX-License-Identifier: MIT
// The access log line.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proxy/access_log.h"

static const union ip_addr client_v4 = {
    .v4 = {.sin_family = AF_INET, .sin_addr = {.s_addr = 0x0100007f}}};

static const struct tls_peer client_cert = {.subject = STR("CN=\\\"x\\\"\\0A,O=y")};

static struct access_record record(void)
{
    return (struct access_record){
        .ended_ms = 1709210096007, // 2024-02-29 12:34:56.007 UTC
        .client = &client_v4,
        .frontend = STR("web"),
        .backend = STR("app"),
        .server = STR("s1"),
        .proto = "HTTP/1.1",
        .method = STR("GET"),
        .host = STR("www.example.com"),
        .path = STR("/a?b=c"),
        .user_agent = STR("curl/8"),
        .referer = STR("https://example.com/"),
        .tls = {"TLSv1.3", "TLS_AES_128_GCM_SHA256", STR("www.example.com"), STR("http/1.1"),
                &client_cert, NULL, true},
        .request_id = STR("0123abcd"),
        .status = 200,
        .bytes_in = 100,
        .bytes_out = 18446744073709551615ull,
        .retries = 1,
        .t_idle_ms = 0,
        .t_request_ms = 1,
        .t_queue_ms = 2,
        .t_connect_ms = 3,
        .t_response_ms = 4,
        .t_data_ms = 5,
        .t_total_ms = 2147483647,
        .end = END_OK,
    };
}

static void formats_to(const struct access_record *r, const char *want)
{
    char out[ACCESS_LINE_MAX];
    size_t n = access_log_format(r, out);
    out[n] = '\0';
    assert_string_equal(out, want);
}

static bool contains(const struct access_record *r, const char *part)
{
    char out[ACCESS_LINE_MAX];
    size_t n = access_log_format(r, out);
    assert_int_equal(out[n - 1], '\n');
    assert_null(memchr(out, '\n', n - 1));
    out[n - 1] = '\0';
    return strstr(out, part) != NULL;
}

static void test_whole_line(void **state)
{
    (void)state;
    const struct access_record r = record();
    formats_to(
        &r,
        "{\"ts\":\"2024-02-29T12:34:56.007Z\",\"client\":\"127.0.0.1\","
        "\"frontend\":\"web\",\"backend\":\"app\",\"server\":\"s1\","
        "\"method\":\"GET\",\"host\":\"www.example.com\",\"path\":\"/a?b=c\","
        "\"status\":200,\"bytes_in\":100,\"bytes_out\":18446744073709551615,"
        "\"proto\":\"HTTP/1.1\",\"retries\":1,\"request_id\":\"0123abcd\","
        "\"ua\":\"curl/8\",\"referer\":\"https://example.com/\","
        "\"tls\":\"TLSv1.3\",\"tls_cipher\":\"TLS_AES_128_GCM_SHA256\","
        "\"sni\":\"www.example.com\",\"alpn\":\"http/1.1\","
        "\"tls_resumed\":true,\"client_cert\":\"CN=\\\\\\\"x\\\\\\\"\\\\0A,O=y\",\"t_idle\":0,"
        "\"t_request\":1,\"t_queue\":2,\"t_connect\":3,\"t_response\":4,"
        "\"t_data\":5,\"t_total\":2147483647,\"term\":\"--\",\"end\":\"ok\",\"detail\":null}\n");
}

static void test_nothing_reached(void **state)
{
    (void)state;
    const struct access_record r = {.client = &client_v4,
                                    .frontend = STR("web"),
                                    .proto = "tcp",
                                    .t_idle_ms = -1,
                                    .t_request_ms = -1,
                                    .t_queue_ms = -1,
                                    .t_connect_ms = -1,
                                    .t_response_ms = -1,
                                    .t_data_ms = -1,
                                    .t_total_ms = 0,
                                    .end = END_NO_SERVER,
                                    .detail = "none is up"};
    formats_to(&r, "{\"ts\":\"1970-01-01T00:00:00.000Z\",\"client\":\"127.0.0.1\","
                   "\"frontend\":\"web\",\"backend\":null,\"server\":null,\"method\":null,"
                   "\"host\":null,\"path\":null,\"status\":null,\"bytes_in\":0,\"bytes_out\":0,"
                   "\"proto\":\"tcp\",\"retries\":0,\"request_id\":null,\"ua\":null,"
                   "\"referer\":null,"
                   "\"tls\":null,\"tls_cipher\":null,\"sni\":null,\"alpn\":null,"
                   "\"tls_resumed\":null,\"client_cert\":null,\"t_idle\":null,\"t_request\":null,"
                   "\"t_queue\":null,"
                   "\"t_connect\":null,\"t_response\":null,\"t_data\":null,\"t_total\":0,"
                   "\"term\":\"SC\",\"end\":\"no-server\",\"detail\":\"none is up\"}\n");
}

static void test_dates(void **state)
{
    (void)state;
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {951782400000, "2000-02-29T00:00:00.000Z"},
        {951868799999, "2000-02-29T23:59:59.999Z"},
        {951868800000, "2000-03-01T00:00:00.000Z"},
        {1735689599999, "2024-12-31T23:59:59.999Z"},
        {1735689600000, "2025-01-01T00:00:00.000Z"},
        {4107542400000, "2100-03-01T00:00:00.000Z"},
        {-5, "1970-01-01T00:00:00.000Z"}, // a clock before 1970
    };
    struct access_record r = record();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        r.ended_ms = cases[i].ms;
        assert_true(contains(&r, cases[i].text));
    }
}

static void test_clients(void **state)
{
    (void)state;
    struct addr a;
    struct access_record r = record();
    r.client = &a.ip;
    assert_true(addr_parse_ip(STR("255.0.10.199"), 80, &a));
    assert_true(contains(&r, "\"client\":\"255.0.10.199\","));
    assert_true(addr_parse_ip(STR("2001:db8::1"), 80, &a));
    assert_true(contains(&r, "\"client\":\"2001:db8::1\","));
    assert_true(addr_parse_ip(STR("::ffff:10.1.2.3"), 80, &a));
    assert_true(contains(&r, "\"client\":\"10.1.2.3\","));
    memset(&a, 0, sizeof(a));
    assert_true(contains(&r, "\"client\":\"unix\","));
}

// Nothing a client sends can end the line or begin a field.
static void test_injection(void **state)
{
    (void)state;
    struct access_record r = record();
    r.path = STR("/\",\"status\":500,\"x\":\"\r\n{\"ts\"");
    assert_true(contains(&r, "\"path\":\"/\\\",\\\"status\\\":500,\\\"x\\\":\\\"\\r\\n{\\\"ts"
                             "\\\"\",\"status\":200"));
    r.user_agent = STR("\x1b]0;x\x07\xff\xe2\x80\xa8");
    assert_true(contains(&r, "\"ua\":\"\\u001b]0;x\\u0007\\u00ff\\u00e2\\u0080\\u00a8\""));
}

// Every text at its longest and at its worst: the line still fits and stays one valid line.
static void test_longest(void **state)
{
    (void)state;
    static char worst[20000];
    memset(worst, '\x01', sizeof(worst));
    const struct str text = {worst, sizeof(worst)};
    struct access_record r = record();
    r.frontend = r.backend = r.server = r.method = r.host = r.path = text;
    r.user_agent = r.referer = r.request_id = r.tls.sni = r.tls.alpn = text;
    const struct tls_peer long_peer = {.subject = text};
    r.tls.peer = &long_peer;
    r.bytes_in = UINT64_MAX;
    r.retries = UINT32_MAX;
    r.ended_ms = INT64_MAX / 4;
    r.t_idle_ms = r.t_request_ms = r.t_queue_ms = r.t_connect_ms = INT32_MAX;
    assert_true(contains(&r, "\\u0001...\",\"status\":200,"));
    assert_true(contains(&r, "\\u0001...\",\"tls_resumed\":true,\"client_cert\":\"\\u0001"));
    assert_true(contains(&r, "\\u0001...\",\"t_idle\":2147483647"));
    char out[ACCESS_LINE_MAX];
    assert_true(access_log_format(&r, out) < ACCESS_LINE_MAX);
}

static void test_write_drops_when_full(void **state)
{
    (void)state;
    struct ring ring;
    void *memory = NULL;
    struct access_record r = record();
    char line[ACCESS_LINE_MAX];
    size_t n = access_log_format(&r, line), lines = 0;
    assert_int_equal(posix_memalign(&memory, 64, ring_bytes(4096)), 0);
    memset(memory, 0, ring_bytes(4096));
    ring_init(&ring, memory, 4096, NULL, -1);
    while (access_log_write(&ring, &r))
        lines++;
    assert_int_equal(lines, 4096 / n);
    assert_int_equal(ring_take_dropped(&ring), 1);
    struct iovec piece[2];
    assert_int_equal(ring_peek(&ring, piece), lines * n);
    assert_memory_equal(piece[0].iov_base, line, n);
    free(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_line),
        cmocka_unit_test(test_nothing_reached),
        cmocka_unit_test(test_dates),
        cmocka_unit_test(test_clients),
        cmocka_unit_test(test_injection),
        cmocka_unit_test(test_longest),
        cmocka_unit_test(test_write_drops_when_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: MIT
// PROXY headers: read at every split point, refused where they must be, and what is written is read
// back by a second reader that shares no code with the first.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>

#include "proto/proxy_hdr.h"

#define SIG "\r\n\r\n\0\r\nQUIT\n"

static struct proxy_hdr hdr;

static enum proxy_result parse(const char *bytes, size_t n, struct proxy_hdr *out)
{
    char *copy = malloc(n > 0 ? n : 1); // nothing readable behind it
    assert_non_null(copy);
    memcpy(copy, bytes, n);
    enum proxy_result r = proxy_hdr_parse(copy, n, out);
    free(copy);
    return r;
}

// A whole header of `n` bytes: incomplete at each shorter length, the same with payload behind it.
static void good(const char *bytes, size_t n)
{
    struct proxy_hdr with_payload;
    char *longer = malloc(n + 300);
    assert_non_null(longer);
    memcpy(longer, bytes, n);
    memset(longer + n, 0x20, 300);
    for (size_t cut = 0; cut < n; cut++)
        assert_int_equal(parse(bytes, cut, &hdr), PROXY_MORE);
    assert_int_equal(parse(longer, n + 300, &with_payload), PROXY_DONE);
    assert_int_equal(parse(bytes, n, &hdr), PROXY_DONE);
    assert_int_equal(hdr.bytes, n);
    assert_memory_equal(&hdr, &with_payload, sizeof(hdr));
    free(longer);
}

// Bad as a whole, and never taken for a header at any shorter length.
static void bad(struct str text)
{
    if (parse(text.p, text.len, &hdr) != PROXY_BAD)
        fail_msg("not refused: %.*s", STR_FMT(text));
    for (size_t cut = 0; cut < text.len; cut++)
        assert_int_not_equal(parse(text.p, cut, &hdr), PROXY_DONE);
}

static void assert_peer(const union ip_addr *ip, const char *host, unsigned port)
{
    char text[ADDR_TEXT];
    (void)ip_format(ip, text);
    assert_string_equal(text, host);
    assert_int_equal(ip_port(ip), port);
}

static void good_text(const char *text)
{
    good(text, strlen(text));
}

static void test_v1(void **state)
{
    (void)state;
    good_text("PROXY TCP4 192.168.0.1 10.0.0.255 56324 443\r\n");
    assert_false(hdr.local);
    assert_peer(&hdr.src, "192.168.0.1", 56324);
    assert_peer(&hdr.dst, "10.0.0.255", 443);
    good_text("PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n");
    good_text("PROXY TCP6 2001:db8::1 ::1 1 2\r\n");
    assert_peer(&hdr.src, "2001:db8::1", 1);
    assert_int_equal(hdr.src.sa.sa_family, AF_INET6);
    good_text("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
              "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n");
    good_text("PROXY UNKNOWN\r\n");
    assert_true(hdr.local);
    good_text("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
              "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n");
    assert_int_equal(hdr.bytes, PROXY_V1_MAX);
    assert_true(hdr.local);
}

static void test_bad_v1(void **state)
{
    (void)state;
    // clang-format off
    static const struct str cases[] = {
        STR("GET / HTTP/1.1\r\n"),
        STR("proxy TCP4 1.1.1.1 2.2.2.2 1 2\r\n"),
        STR("PROXY\tTCP4 1.1.1.1 2.2.2.2 1 2\r\n"),
        STR("PROXY  TCP4 1.1.1.1 2.2.2.2 1 2\r\n"),
        STR("PROXY TCP4  1.1.1.1 2.2.2.2 1 2\r\n"),
        STR("PROXY TCP4 1.1.1.1 2.2.2.2 1 2 \r\n"),
        STR("PROXY TCP4 1.1.1.1 2.2.2.2 1 2 3\r\n"),
        STR("PROXY TCP4 1.1.1.1 2.2.2.2 1\r\n"),
        STR("PROXY TCP4 1.1.1.1 2.2.2.2  2\r\n"),
        STR("PROXY TCP4 1.1.1.1\r\n"),
        STR("PROXY TCP4\r\n"),
        STR("PROXY \r\n"),
        STR("PROXY TCP4 1.1.1.1 2.2.2.2 1 65536\r\n"),
        STR("PROXY TCP4 1.1.1.1 2.2.2.2 01 2\r\n"),
        STR("PROXY TCP4 1.1.1.1 2.2.2.2 +1 2\r\n"),
        STR("PROXY TCP4 1.1.1.1 2.2.2.2 -1 2\r\n"),
        STR("PROXY TCP4 1.1.1.1 2.2.2.2 1 100000\r\n"),
        STR("PROXY TCP4 1.1.1.1 2.2.2.2 1 2\n"),
        STR("PROXY TCP4 1.1.1.1 2.2.2.2 1 2\rX"),
        STR("PROXY TCP4 1.1.1.1\0 2.2.2.2 1 2\r\n"),
        STR("PROXY TCP4 1.1.1 2.2.2.2 1 2\r\n"),
        STR("PROXY TCP4 1.1.1.256 2.2.2.2 1 2\r\n"),
        STR("PROXY TCP4 01.1.1.1 2.2.2.2 1 2\r\n"),
        STR("PROXY TCP4 ::1 ::1 1 2\r\n"),
        STR("PROXY TCP6 1.1.1.1 2.2.2.2 1 2\r\n"),
        STR("PROXY TCP6 ::1%lo ::1 1 2\r\n"),
        STR("PROXY TCP5 1.1.1.1 2.2.2.2 1 2\r\n"),
        STR("PROXY UDP4 1.1.1.1 2.2.2.2 1 2\r\n"),
        STR("PROXY UNKNOWNX\r\n"),
        STR("PROXY UNKNOWN \t\r\n"),
        STR("PROXY UNKNOWN fffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"), // 108 bytes
        STR("PROXY UNKNOWN xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"),
    };
    // clang-format on
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        bad(cases[i]);
}

// A version-2 header with `len` bytes of block, the first `given` of them from `block`.
static size_t make_v2(char *out, int command, int family, size_t len, const char *block,
                      size_t given)
{
    memcpy(out, SIG, 12);
    out[12] = (char)command;
    out[13] = (char)family;
    out[14] = (char)(len >> 8);
    out[15] = (char)len;
    memset(out + 16, 0, len);
    memcpy(out + 16, block, MIN_OF(given, len));
    return 16 + len;
}

static char v2[PROXY_HDR_MAX];

static void test_v2_addresses(void **state)
{
    (void)state;
    static const char inet[] = "\x01\x02\x03\x04\x05\x06\x07\x08\x12\x34\x00\x50";
    good(v2, make_v2(v2, 0x21, 0x11, 12, inet, 12));
    assert_false(hdr.local);
    assert_peer(&hdr.src, "1.2.3.4", 0x1234);
    assert_peer(&hdr.dst, "5.6.7.8", 80);
    static const char inet6[] = "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"
                                "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\x00\x01\xff\xff";
    good(v2, make_v2(v2, 0x21, 0x21, 36, inet6, 36));
    assert_false(hdr.local);
    assert_peer(&hdr.src, "2001:db8::1", 1);
    assert_peer(&hdr.dst, "::1", 65535);
}

static void test_v2_keeps_the_real_peer(void **state)
{
    (void)state;
    static const struct {
        int command, family;
        size_t len;
    } cases[] = {
        {0x20, 0x00, 0},  {0x20, 0x11, 12}, {0x20, 0xff, 5},   {0x20, 0x11, 0},
        {0x21, 0x00, 0},  {0x21, 0x00, 7},  {0x21, 0x31, 216}, {0x21, 0x32, 219},
        {0x21, 0x12, 12}, {0x21, 0x22, 36}, {0x21, 0x10, 12},  {0x20, 0x00, 300},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        size_t n = make_v2(v2, cases[i].command, cases[i].family, cases[i].len, "", 0);
        good(v2, n);
        assert_true(hdr.local);
    }
    size_t n = make_v2(v2, 0x20, 0x00, 65535, "", 0);
    assert_int_equal(parse(v2, n - 1, &hdr), PROXY_MORE);
    assert_int_equal(parse(v2, n, &hdr), PROXY_DONE);
    assert_int_equal(hdr.bytes, PROXY_HDR_MAX);
}

static void test_bad_v2(void **state)
{
    (void)state;
    static const struct {
        int command, family;
        size_t len;
    } cases[] = {
        {0x11, 0x11, 12}, {0x22, 0x11, 12}, {0x31, 0x11, 12},  {0x2f, 0x11, 12}, {0x01, 0x11, 12},
        {0x21, 0x13, 12}, {0x21, 0x41, 36}, {0x21, 0xf1, 36},  {0x21, 0x1f, 36}, {0x21, 0x11, 0},
        {0x21, 0x11, 11}, {0x21, 0x21, 35}, {0x21, 0x31, 215},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        size_t n = make_v2(v2, cases[i].command, cases[i].family, cases[i].len, "", 0);
        bad((struct str){v2, n});
        // and at once when the fixed part is there: no waiting for what cannot help
        assert_int_equal(parse(v2, 16, &hdr), PROXY_BAD);
    }
    for (size_t at = 0; at < 12; at++) { // any byte of the signature wrong
        size_t n = make_v2(v2, 0x21, 0x00, 0, "", 0);
        v2[at] ^= 1;
        assert_int_equal(parse(v2, at + 1, &hdr), PROXY_BAD);
        bad((struct str){v2, n});
    }
}

static void test_v2_tlvs(void **state)
{
    (void)state;
    static const char block[] = "\1\2\3\4\5\6\7\10\0\1\0\2" // addresses
                                "\x04\x00\x02xx"            // two bytes
                                "\x01\x00\x00";             // none
    good(v2, make_v2(v2, 0x21, 0x11, 20, block, 20));
    assert_peer(&hdr.src, "1.2.3.4", 1);
    for (size_t len = 13; len < 20; len++) { // each length but 17 cuts an entry
        size_t n = make_v2(v2, 0x21, 0x11, len, block, len);
        if (len == 17)
            good(v2, n);
        else
            bad((struct str){v2, n});
    }
    size_t n = make_v2(v2, 0x21, 0x11, 20, block, 20);
    v2[16 + 12 + 5 + 2] = 1; // the last entry runs into what follows the header
    v2[n] = 'x';
    assert_int_equal(parse(v2, n + 1, &hdr), PROXY_BAD);
    v2[16 + 12 + 1] = (char)0xff;
    bad((struct str){v2, n});
}

// ------------------------------------------------------------------ writing

struct reading {
    int version, family; // 0, 4 or 6
    bool local;
    size_t bytes;
    char src[64], dst[64];
    unsigned sport, dport;
};

// The second reader, for version 1: by sscanf().
static void read_text(const char *h, size_t n, struct reading *r)
{
    char text[PROXY_OUT_MAX + 1] = "", again[PROXY_OUT_MAX + 64];
    memcpy(text, h, n);
    if (strcmp(text, "PROXY UNKNOWN\r\n") == 0)
        return;
    assert_int_equal(sscanf(text, "PROXY TCP%d %63s %63s %u %u\r\n", &r->family, r->src, r->dst,
                            &r->sport, &r->dport),
                     5);
    (void)snprintf(again, sizeof(again), "PROXY TCP%d %s %s %u %u\r\n", r->family, r->src, r->dst,
                   r->sport, r->dport);
    assert_string_equal(again, text);
}

// And for version 2: by position, from the end.
static void read_binary(const char *h, size_t n, struct reading *r)
{
    const unsigned char *u = (const unsigned char *)h;
    assert_memory_equal(h, SIG, 12);
    assert_int_equal(u[12] >> 4, 2);
    assert_int_equal(u[14] * 256 + u[15], n - 16); // CVE-2026-47692: the length says what follows
    r->local = (u[12] & 15) == 0;
    if (n == 16) {
        assert_int_equal(u[13], 0);
        return;
    }
    assert_int_equal(u[13], n == 28 ? 0x11 : 0x21);
    r->family = n == 28 ? 4 : 6;
    size_t size = n == 28 ? 4 : 16;
    r->dport = u[n - 2] * 256u + u[n - 1];
    r->sport = u[n - 4] * 256u + u[n - 3];
    int af = n == 28 ? AF_INET : AF_INET6;
    assert_non_null(inet_ntop(af, u + n - 4 - size, r->dst, sizeof(r->dst)));
    assert_non_null(inet_ntop(af, u + n - 4 - 2 * size, r->src, sizeof(r->src)));
}

static struct reading written(int version, const union ip_addr *src, const union ip_addr *dst)
{
    struct reading r = {.version = version};
    char out[PROXY_OUT_MAX];
    r.bytes = proxy_hdr_format(version, src, dst, NULL, out);
    assert_true(r.bytes <= PROXY_OUT_MAX);
    if (version == 1)
        read_text(out, r.bytes, &r);
    else
        read_binary(out, r.bytes, &r);
    good(out, r.bytes); // and our own reader, at every split
    assert_int_equal(hdr.local, r.family == 0);
    if (r.family != 0) {
        assert_peer(&hdr.src, r.src, r.sport);
        assert_peer(&hdr.dst, r.dst, r.dport);
    }
    return r;
}

static union ip_addr ip(const char *host, uint16_t port)
{
    struct addr a;
    assert_true(addr_parse_ip(str_of(host), port, &a));
    return a.ip;
}

// The next entry at *at: its type, and its value in *v. Ends the test when it does not fit.
static int next_tlv(struct str *rest, struct str *v)
{
    assert_true(rest->len >= 3);
    size_t n = (unsigned char)rest->p[1] * 256u + (unsigned char)rest->p[2];
    assert_true(rest->len >= 3 + n);
    int type = (unsigned char)rest->p[0];
    *v = (struct str){rest->p + 3, n};
    *rest = (struct str){rest->p + 3 + n, rest->len - 3 - n};
    return type;
}

static void assert_tlv(struct str *rest, int type, struct str expected)
{
    struct str v;
    assert_int_equal(next_tlv(rest, &v), type);
    assert_true(str_eq(v, expected));
}

// Writes a header with TLS fields, has both readers check its frame, and returns the entries.
static struct str entries(const struct proxy_tls *tls, char out[PROXY_OUT_MAX])
{
    union ip_addr a = ip("2001:db8::1", 1), b = ip("::1", 443);
    size_t n = proxy_hdr_format(2, &a, &b, tls, out);
    assert_true(n <= PROXY_OUT_MAX);
    assert_int_equal((unsigned char)out[14] * 256 + (unsigned char)out[15], n - 16);
    good(out, n);
    assert_peer(&hdr.src, "2001:db8::1", 1);
    return (struct str){out + 16 + 36, n - 16 - 36};
}

static void test_tls_fields(void **state)
{
    (void)state;
    char out[PROXY_OUT_MAX];
    struct proxy_tls tls = {.version = STR("TLSv1.3"), .cipher = STR("TLS_AES_128_GCM_SHA256")};
    struct str rest = entries(&tls, out), ssl;
    assert_int_equal(next_tlv(&rest, &ssl), 0x20);
    assert_int_equal(rest.len, 0);
    assert_memory_equal(ssl.p, "\1\0\0\0\1", 5);
    ssl = (struct str){ssl.p + 5, ssl.len - 5};
    assert_tlv(&ssl, 0x21, tls.version);
    assert_tlv(&ssl, 0x23, tls.cipher);
    assert_int_equal(ssl.len, 0);

    tls.alpn = STR("http/1.1");
    tls.authority = STR("a.test");
    tls.has_certificate = true;
    tls.client_name = STR("ops");
    rest = entries(&tls, out);
    assert_tlv(&rest, 1, tls.alpn);
    assert_tlv(&rest, 2, tls.authority);
    assert_int_equal(next_tlv(&rest, &ssl), 0x20);
    assert_int_equal(rest.len, 0);
    assert_memory_equal(ssl.p, "\7\0\0\0\0", 5);
    ssl = (struct str){ssl.p + 5, ssl.len - 5};
    assert_tlv(&ssl, 0x21, tls.version);
    assert_tlv(&ssl, 0x22, tls.client_name);
    assert_tlv(&ssl, 0x23, tls.cipher);
    assert_int_equal(ssl.len, 0);

    tls = (struct proxy_tls){.authority = STR("a.test")}; // passed through
    rest = entries(&tls, out);
    assert_tlv(&rest, 2, tls.authority);
    assert_int_equal(rest.len, 0);
}

// The longest that is written, and one byte more, which is left out rather than cut.
static void test_long_tls_fields(void **state)
{
    (void)state;
    char out[PROXY_OUT_MAX], text[PROXY_TEXT_MAX + 1];
    memset(text, 'x', sizeof(text));
    const struct str longest = {text, PROXY_TEXT_MAX}, longer = {text, sizeof(text)};
    struct proxy_tls tls = {longest, longest, longest, longest, true, longest};
    struct str rest = entries(&tls, out), ssl;
    assert_tlv(&rest, 1, longest);
    assert_tlv(&rest, 2, longest);
    assert_int_equal(next_tlv(&rest, &ssl), 0x20);
    assert_int_equal(ssl.len, 5 + 3 * (3 + PROXY_TEXT_MAX));
    tls = (struct proxy_tls){longer, longer, longer, longer, true, longer};
    rest = entries(&tls, out);
    assert_int_equal(next_tlv(&rest, &ssl), 0x20);
    assert_int_equal(ssl.len, 5);
    assert_int_equal(rest.len, 0);
}

// Nothing says of TLS what has no addresses in front, or is version 1.
static void test_tls_fields_need_addresses(void **state)
{
    (void)state;
    char out[PROXY_OUT_MAX];
    const struct proxy_tls tls = {.version = STR("TLSv1.3")};
    union ip_addr a = ip("2001:db8::1", 1), b = ip("192.0.2.1", 443);
    assert_int_equal(proxy_hdr_format(2, &a, &b, &tls, out), 16);
    assert_int_equal(out[14] + out[15], 0);
    assert_int_equal(proxy_hdr_format(2, NULL, NULL, &tls, out), 16);
    size_t n = proxy_hdr_format(1, &a, &a, &tls, out);
    assert_memory_equal(out + n - 2, "\r\n", 2);
    assert_true(n < PROXY_V1_MAX);
}

static void test_written_headers(void **state)
{
    (void)state;
    union ip_addr a = ip("192.0.2.1", 1), b = ip("198.51.100.200", 65535);
    union ip_addr c = ip("2001:db8::1", 0), d = ip("::1", 443), mapped = ip("::ffff:192.0.2.9", 9);
    union ip_addr big = ip("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535);
    for (int version = 1; version <= 2; version++) {
        struct reading r = written(version, &a, &b);
        assert_int_equal(r.family, 4);
        assert_string_equal(r.src, "192.0.2.1");
        assert_int_equal(r.dport, 65535);
        r = written(version, &c, &d);
        assert_int_equal(r.family, 6);
        assert_string_equal(r.src, "2001:db8::1");
        assert_int_equal(r.dport, 443);
        r = written(version, &mapped, &a);
        assert_int_equal(r.family, 4);
        assert_string_equal(r.src, "192.0.2.9");
        r = written(version, &mapped, &mapped);
        assert_int_equal(r.family, 4);
        r = written(version, &big, &big);
        assert_int_equal(r.bytes, version == 1 ? 104 : 52);
    }
}

static void test_written_without_addresses(void **state)
{
    (void)state;
    union ip_addr a = ip("192.0.2.1", 1), c = ip("2001:db8::1", 0), unix_peer;
    memset(&unix_peer, 0, sizeof(unix_peer));
    unix_peer.sa.sa_family = AF_UNIX;
    for (int version = 1; version <= 2; version++) {
        struct reading r = written(version, &a, &c);
        assert_int_equal(r.family, 0);
        assert_false(r.local); // relayed, of a family that cannot be told
        r = written(version, &unix_peer, &unix_peer);
        assert_int_equal(r.family, 0);
        r = written(version, NULL, NULL);
        assert_int_equal(r.family, 0);
        assert_int_equal(r.local, version == 2); // a connection of our own
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_v1),
        cmocka_unit_test(test_bad_v1),
        cmocka_unit_test(test_v2_addresses),
        cmocka_unit_test(test_v2_keeps_the_real_peer),
        cmocka_unit_test(test_bad_v2),
        cmocka_unit_test(test_v2_tlvs),
        cmocka_unit_test(test_tls_fields),
        cmocka_unit_test(test_long_tls_fields),
        cmocka_unit_test(test_tls_fields_need_addresses),
        cmocka_unit_test(test_written_headers),
        cmocka_unit_test(test_written_without_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

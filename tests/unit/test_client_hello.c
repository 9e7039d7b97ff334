// SPDX-License-Identifier: MIT
// ClientHellos: real ones and built ones, read at every split point and in records of every size,
// and everything that is wrong refused as soon as it shows.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client_hellos.h"
#include "proto/client_hello.h"

static struct client_hello hello;
static char scratch[CLIENT_HELLO_MAX];

// ---- a hello made by hand -----------------------------------------------------------------------

#define NAME_SHOP "\x00\x00\x00\x15\x00\x13\x00\x00\x10Shop.Example.com"
#define ALPN_BOTH "\x00\x10\x00\x0e\x00\x0c\x02h2\x08http/1.1"
#define VERSIONS "\x00\x2b\x00\x05\x04\x03\x04\x03\x03"

struct bytes {
    char p[40000];
    size_t n;
};

static void add(struct bytes *b, struct str s)
{
    assert_true(b->n + s.len <= sizeof(b->p));
    memcpy(b->p + b->n, s.p, s.len);
    b->n += s.len;
}

static void add_number(struct bytes *b, size_t value, size_t width)
{
    for (size_t i = width; i > 0; i--) {
        char c = (char)(value >> 8 * (i - 1));
        add(b, (struct str){&c, 1});
    }
}

// The message behind its type and length, up to the extensions.
static void add_beginning(struct bytes *b)
{
    static const char random[32] = "0123456789abcdef0123456789abcde";
    add(b, STR("\x03\x03"));
    add(b, (struct str){random, sizeof(random)});
    add(b, STR("\x04sess\x00\x04\x13\x01\xc0\x2b\x01\x00"));
}

// Cuts a message into records of `size` bytes.
static void make_records(struct bytes *out, struct str message, size_t size)
{
    out->n = 0;
    for (size_t at = 0; at < message.len; at += size) {
        size_t n = MIN_OF(size, message.len - at);
        add(out, STR("\x16\x03\x01"));
        add_number(out, n, 2);
        add(out, (struct str){message.p + at, n});
    }
}

static void make_message(struct bytes *out, struct str body)
{
    out->n = 0;
    add_number(out, 1, 1);
    add_number(out, body.len, 3);
    add(out, body);
}

// A whole hello with these extensions, in one record.
static struct str with_extensions(struct str extensions)
{
    static struct bytes body, message, records;
    body.n = 0;
    add_beginning(&body);
    add_number(&body, extensions.len, 2);
    add(&body, extensions);
    make_message(&message, (struct str){body.p, body.n});
    make_records(&records, (struct str){message.p, message.n}, 16384);
    return (struct str){records.p, records.n};
}

// ---- how they are read --------------------------------------------------------------------------

static enum hello_result parse(struct str in)
{
    char *copy = malloc(in.len > 0 ? in.len : 1); // nothing readable behind it
    assert_non_null(copy);
    memcpy(copy, in.p, in.len);
    memset(scratch, '?', sizeof(scratch));
    enum hello_result r = client_hello_parse((struct str){copy, in.len}, scratch, &hello);
    free(copy);
    return r;
}

// In its shortest form: "name proto,proto 1.3"
static const char *described(void)
{
    static char text[1000];
    int n = snprintf(text, sizeof(text), "%.*s ", STR_FMT(hello.sni));
    for (uint32_t i = 0; i < hello.n_alpn; i++)
        n += snprintf(text + n, sizeof(text) - (size_t)n, "%s%.*s", i > 0 ? "," : "",
                      STR_FMT(hello.alpn[i]));
    (void)snprintf(text + n, sizeof(text) - (size_t)n, "%s", hello.tls13 ? " 1.3" : "");
    return text;
}

static void good(struct str in, const char *expected)
{
    static struct bytes longer;
    for (size_t cut = 0; cut < in.len; cut++)
        assert_int_equal(parse((struct str){in.p, cut}), HELLO_MORE);
    longer.n = 0;
    add(&longer, in);
    add(&longer, STR("\x14\x03\x03\x00\x01\x01 and what else comes"));
    assert_int_equal(parse((struct str){longer.p, longer.n}), HELLO_DONE);
    assert_int_equal(hello.bytes, in.len);
    assert_string_equal(described(), expected);
    assert_int_equal(parse(in), HELLO_DONE);
    assert_int_equal(hello.bytes, in.len);
    assert_string_equal(described(), expected);
}

// Refused once `shown` bytes have come, and not before; 0: just not taken for one before.
static void refused_at(struct str in, size_t shown, enum hello_result as)
{
    for (size_t i = 0; i <= in.len; i += i < 600 ? 1 : 97) {
        size_t n = i < 600 ? i : in.len - (i - 600);
        enum hello_result r = parse((struct str){in.p, n});
        if (shown == 0 ? r == HELLO_DONE || (n == in.len && r != as)
                       : r != (n < shown ? HELLO_MORE : as))
            fail_msg("%u after %u of %u bytes", r, (unsigned)n, (unsigned)in.len);
    }
}

static void bad(struct str in)
{
    refused_at(in, 0, HELLO_BAD);
}

static void bad_extensions(struct str extensions)
{
    bad(with_extensions(extensions));
}

// ---- good ones ----------------------------------------------------------------------------------

#define REAL(name) ((struct str){(const char *)(name), sizeof(name)})

static const struct {
    struct str bytes;
    const char *says;
} real[] = {
    {REAL(hello_openssl_tls13), "shop.example.com h2,http/1.1 1.3"},
    {REAL(hello_openssl_tls12), "shop.example.com "},
    {REAL(hello_openssl_no_sni), "  1.3"},
    {REAL(hello_curl), "www.example.com h2,http/1.1 1.3"},
    {REAL(hello_curl_http1), "api.example.com http/1.1"},
    {REAL(hello_python), "db.example.org acme-tls/1 1.3"},
};

static void test_real_clients(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(real); i++)
        good(real[i].bytes, real[i].says);
}

// Every size of record, cut at every byte where that is quick.
static void test_several_records(void **state)
{
    (void)state;
    static struct bytes cut;
    for (size_t i = 0; i < ARRAY_LEN(real); i++) {
        struct str message = {real[i].bytes.p + 5, real[i].bytes.len - 5};
        for (size_t size = 1; size < message.len; size += size < 50 ? 1 : 37) {
            make_records(&cut, message, size);
            good((struct str){cut.p, cut.n}, real[i].says);
        }
    }
}

static void test_without_extensions(void **state)
{
    (void)state;
    static struct bytes body, message, records;
    add_beginning(&body);
    make_message(&message, (struct str){body.p, body.n});
    make_records(&records, (struct str){message.p, message.n}, 16384);
    good((struct str){records.p, records.n}, " ");
    good(with_extensions(STR("")), " ");
    records.p[2] = 0;  // the record's version, of SSL 3
    records.p[10] = 0; // and the message's
    good((struct str){records.p, records.n}, " ");
}

static void test_extensions(void **state)
{
    (void)state;
    good(with_extensions(STR(NAME_SHOP)), "shop.example.com ");
    good(with_extensions(STR(ALPN_BOTH VERSIONS)), " h2,http/1.1 1.3");
    good(with_extensions(STR("\x5a\x5a\x00\x00" NAME_SHOP "\x00\x17\x00\x00" VERSIONS ALPN_BOTH
                             "\xff\xff\x00\x01\x00")),
         "shop.example.com h2,http/1.1 1.3");
    good(with_extensions(STR("\x00\x2b\x00\x03\x02\x03\x03")), " ");
    good(with_extensions(STR("\x00\x00\x00\x07\x00\x05\x00\x00\x02"
                             "a.")),
         "a ");
    good(with_extensions(STR("\x00\x10\x00\x14\x00\x12\x01"
                             "a\x01"
                             "b\x01"
                             "c\x01"
                             "d\x01"
                             "e\x01"
                             "f\x01"
                             "g\x01"
                             "h\x01i")),
         " a,b,c,d,e,f,g,h");
}

// A server_name extension of `n` bytes of name.
static struct str named(const char *name, size_t n)
{
    static struct bytes x;
    x.n = 0;
    add(&x, STR("\x00\x00"));
    add_number(&x, n + 5, 2);
    add_number(&x, n + 3, 2);
    add_number(&x, 0, 1);
    add_number(&x, n, 2);
    add(&x, (struct str){name, n});
    return (struct str){x.p, x.n};
}

static void test_names(void **state)
{
    (void)state;
    char longest[300];
    for (size_t i = 0; i < sizeof(longest); i++)
        longest[i] = i % 2 == 0 ? 'A' : '.';
    assert_int_equal(parse(with_extensions(named(longest, 253))), HELLO_DONE);
    assert_int_equal(hello.sni.len, 253);
    assert_memory_equal(hello.sni.p, "a.a.a", 5);
    assert_int_equal(parse(with_extensions(named(longest, 254))), HELLO_DONE); // a dot at its end
    assert_int_equal(hello.sni.len, 253);
    bad_extensions(named(longest, 255));
    longest[253] = 'a';
    bad_extensions(named(longest, 254));
    static const struct str wrong[] = {
        STR(""),      STR("."),        STR(".."),     STR(".a"),   STR("a..b"),
        STR("a.."),   STR("shop\0.x"), STR("a b"),    STR("a\tb"), STR("a\n"),
        STR("a\x7f"), STR("a\x80"),    STR("\xff.b"), STR("\0"),
    };
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        bad_extensions(named(wrong[i].p, wrong[i].len));
    good(with_extensions(named("a_b-c.1", 7)), "a_b-c.1 ");
    good(with_extensions(named("10.0.0.1", 8)), "10.0.0.1 ");
}

// ---- bad ones -----------------------------------------------------------------------------------

static void test_bad_extensions(void **state)
{
    (void)state;
    bad_extensions(STR("\x00"));                           // no whole type
    bad_extensions(STR("\x00\x17\x00"));                   // no whole length
    bad_extensions(STR("\x00\x17\x00\x01"));               // longer than what holds it
    bad_extensions(STR(NAME_SHOP "\x00\x17\x00\x05____")); // the last one
    bad_extensions(STR(NAME_SHOP "!"));
    bad_extensions(STR(NAME_SHOP NAME_SHOP));
    bad_extensions(STR(ALPN_BOTH NAME_SHOP ALPN_BOTH));
    bad_extensions(STR(VERSIONS VERSIONS));
    bad_extensions(STR("\x5a\x5a\x00\x00\x5a\x5a\x00\x00"));
    bad_extensions(STR("\x00\x00\x00\x00"));                     // server_name: nothing
    bad_extensions(STR("\x00\x00\x00\x02\x00\x00"));             // an empty list
    bad_extensions(STR("\x00\x00\x00\x05\x00\x03\x00\x00\x00")); // an empty name
    bad_extensions(STR("\x00\x00\x00\x06\x00\x04\x01\x00\x01"
                       "a")); // another type of name
    bad_extensions(STR("\x00\x00\x00\x06\x00\x05\x00\x00\x01"
                       "a")); // the list is longer
    bad_extensions(STR("\x00\x00\x00\x06\x00\x03\x00\x00\x01"
                       "a")); // the list is shorter
    bad_extensions(STR("\x00\x00\x00\x06\x00\x04\x00\x00\x02"
                       "a")); // the name is longer
    bad_extensions(STR("\x00\x00\x00\x07\x00\x05\x00\x00\x01"
                       "ab")); // the name is shorter
    bad_extensions(STR("\x00\x00\x00\x0a\x00\x08\x00\x00\x01"
                       "a\x00\x00\x01"
                       "b"));                                  // two names
    bad_extensions(STR("\x00\x10\x00\x00"));                   // ALPN: nothing
    bad_extensions(STR("\x00\x10\x00\x02\x00\x00"));           // an empty list
    bad_extensions(STR("\x00\x10\x00\x03\x00\x01\x00"));       // an empty name
    bad_extensions(STR("\x00\x10\x00\x06\x00\x04\x02h2\x00")); // one of them
    bad_extensions(STR("\x00\x10\x00\x05\x00\x03\x03h2"));     // a name is longer
    bad_extensions(STR("\x00\x10\x00\x05\x00\x04\x02h2"));     // the list is longer
    bad_extensions(STR("\x00\x10\x00\x06\x00\x03\x02h2!"));    // the list is shorter
    bad_extensions(STR("\x00\x2b\x00\x01\x00"));               // versions: none
    bad_extensions(STR("\x00\x2b\x00\x02\x01\x03"));           // half of one
    bad_extensions(STR("\x00\x2b\x00\x04\x03\x03\x04\x03"));
    bad_extensions(STR("\x00\x2b\x00\x03\x04\x03\x04"));
}

static void put_at(struct bytes *b, size_t at, struct str with)
{
    memcpy(b->p + at, with.p, with.len);
}

// One byte of a good hello changed: refused when it has come.
static void changed(size_t at, struct str with, size_t shown, enum hello_result as)
{
    static struct bytes b;
    b.n = 0;
    add(&b, with_extensions(STR(NAME_SHOP VERSIONS)));
    put_at(&b, at, with);
    refused_at((struct str){b.p, b.n}, shown, as);
}

static void test_bad_hellos(void **state)
{
    (void)state;
    changed(0, STR("\x15"), 1, HELLO_NOT_TLS); // an alert
    changed(0, STR("\x17"), 1, HELLO_NOT_TLS);
    changed(1, STR("\x02"), 2, HELLO_NOT_TLS);
    changed(1, STR("\x04"), 2, HELLO_NOT_TLS);
    changed(3, STR("\x00\x00"), 5, HELLO_BAD);   // a record of nothing
    changed(3, STR("\x40\x01"), 5, HELLO_BAD);   // or of too much
    changed(5, STR("\x02"), 6, HELLO_BAD);       // a ServerHello
    changed(6, STR("\x01"), 9, HELLO_BAD);       // 64 KiB and more
    changed(7, STR("\x40"), 9, HELLO_BAD);       // more than all records may have
    changed(8, STR("\x01"), 9, HELLO_BAD);       // something stands behind it in the record
    changed(9, STR("\x02"), 10, HELLO_BAD);      // version
    changed(9, STR("\x04"), 10, HELLO_BAD);      // version
    changed(43, STR("\x21"), 44, HELLO_BAD);     // session id of 33 bytes
    changed(43, STR("\xff"), 44, HELLO_BAD);     // beyond the end
    changed(48, STR("\x00\x00"), 50, HELLO_BAD); // no cipher
    changed(48, STR("\x00\x03"), 50, HELLO_BAD); // one and a half
    changed(48, STR("\xff\xfe"), 50, HELLO_BAD); // beyond the end
    changed(54, STR("\x00"), 55, HELLO_BAD);     // no compression
    changed(54, STR("\xff"), 55, HELLO_BAD);
    changed(56, STR("\xff\xff"), 58, HELLO_BAD); // extensions beyond the end
    changed(56, STR("\x00\x00"), 58, HELLO_BAD); // or before it
}

static void test_not_tls(void **state)
{
    (void)state;
    refused_at(STR("GET / HTTP/1.1\r\nHost: shop.example.com\r\n\r\n"), 1, HELLO_NOT_TLS);
    refused_at(STR("SSH-2.0-OpenSSH_9.2\r\n"), 1, HELLO_NOT_TLS);
    refused_at(STR("\x80\x2e\x01\x03\x01\x00\x15\x00\x00\x00\x10"), 1, HELLO_NOT_TLS); // SSL 2
    refused_at(STR("\x00"), 1, HELLO_NOT_TLS);
    refused_at(STR("\x16\x16"), 2, HELLO_NOT_TLS);
}

static void test_bad_records(void **state)
{
    (void)state;
    static struct bytes b;
    struct str whole = {real[0].bytes.p + 5, real[0].bytes.len - 5};
    make_records(&b, whole, 100);
    b.p[105] = 0x15; // an alert in the middle of it
    refused_at((struct str){b.p, b.n}, 106, HELLO_BAD);
    make_records(&b, whole, 100);
    b.p[106] = 0x02;
    refused_at((struct str){b.p, b.n}, 107, HELLO_BAD);
    make_records(&b, whole, 100);
    put_at(&b, 105 + 3, STR("\x00\x00"));
    refused_at((struct str){b.p, b.n}, 110, HELLO_BAD);
    make_records(&b, whole, 3); // the length comes in the second record
    b.p[8 + 4] = (char)0xff;    // and that one holds more than the hello
    b.p[8 + 3] = 0x3f;
    refused_at((struct str){b.p, b.n}, 0, HELLO_BAD);
}

// An extension that makes the hello `bytes` long.
static struct str of_size(size_t bytes, size_t record)
{
    static struct bytes body, message, records, padding;
    padding.n = body.n = 0;
    add_beginning(&body);
    size_t n = bytes - 5 - 4 - body.n - 2 - 4;
    add(&padding, STR("\x00\x15"));
    add_number(&padding, n, 2);
    while (padding.n < n + 4)
        add_number(&padding, 0, 1);
    add_number(&body, padding.n, 2);
    add(&body, (struct str){padding.p, padding.n});
    make_message(&message, (struct str){body.p, body.n});
    make_records(&records, (struct str){message.p, message.n}, record);
    return (struct str){records.p, records.n};
}

static void test_size(void **state)
{
    (void)state;
    struct str in = of_size(CLIENT_HELLO_MAX, 16384);
    assert_int_equal(in.len, CLIENT_HELLO_MAX);
    assert_int_equal(parse(in), HELLO_DONE);
    assert_int_equal(hello.bytes, CLIENT_HELLO_MAX);
    refused_at(of_size(CLIENT_HELLO_MAX + 1, 16384), 5, HELLO_BAD);
    refused_at(of_size(20000, 1000), 9, HELLO_BAD);
    in = of_size(CLIENT_HELLO_MAX - 5, 9000); // the head of the second record counts, too
    assert_int_equal(in.len, CLIENT_HELLO_MAX);
    assert_int_equal(parse(in), HELLO_DONE);
    in = of_size(2700, 1); // 16,170 bytes in records of one
    assert_int_equal(parse(in), HELLO_DONE);
    refused_at(of_size(2740, 1), 0, HELLO_BAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_real_clients),
        cmocka_unit_test(test_several_records),
        cmocka_unit_test(test_without_extensions),
        cmocka_unit_test(test_extensions),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_bad_extensions),
        cmocka_unit_test(test_bad_hellos),
        cmocka_unit_test(test_not_tls),
        cmocka_unit_test(test_bad_records),
        cmocka_unit_test(test_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

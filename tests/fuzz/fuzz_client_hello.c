// SPDX-License-Identifier: MIT
// libFuzzer target for ClientHellos: a verdict once given does not change with more bytes, what was
// read lies inside the message, and the same message in other records says the same.
#include "proto/client_hello.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum hello_result parse(const uint8_t *data, size_t n, char *scratch,
                               struct client_hello *out)
{
    char *copy = malloc(n > 0 ? n : 1);
    lb_assert(copy != NULL);
    memcpy(copy, data, n);
    enum hello_result r = client_hello_parse((struct str){copy, n}, scratch, out);
    free(copy);
    return r;
}

static void check_inside(const char *scratch, struct str s)
{
    lb_assert(s.len == 0 || (s.p >= scratch && s.p + s.len <= scratch + CLIENT_HELLO_MAX));
}

// In records of one byte each.
static void check_cut(const struct client_hello *whole, const char *message, size_t n)
{
    static uint8_t records[CLIENT_HELLO_MAX];
    static char scratch[CLIENT_HELLO_MAX];
    struct client_hello cut;
    if (n * 6 > sizeof(records))
        return;
    for (size_t i = 0; i < n; i++)
        memcpy(records + i * 6, (const uint8_t[]){22, 3, 3, 0, 1, (uint8_t)message[i]}, 6);
    lb_assert(parse(records, n * 6, scratch, &cut) == HELLO_DONE && cut.bytes == n * 6);
    lb_assert(str_eq(cut.sni, whole->sni) && cut.n_alpn == whole->n_alpn);
    lb_assert(cut.tls13 == whole->tls13);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char scratch[CLIENT_HELLO_MAX], other[CLIENT_HELLO_MAX];
    struct client_hello whole, part;
    enum hello_result r = parse(data, size, scratch, &whole);
    for (size_t n = 0; n < MIN_OF(size, (size_t)1000); n++) {
        enum hello_result p = parse(data, n, other, &part);
        lb_assert(p == HELLO_MORE || p == r);
        lb_assert(p != HELLO_DONE || part.bytes == whole.bytes);
    }
    if (r != HELLO_DONE)
        return 0;
    lb_assert(whole.bytes <= size && whole.bytes <= CLIENT_HELLO_MAX);
    check_inside(scratch, whole.sni);
    lb_assert(whole.sni.len <= CLIENT_HELLO_NAME_MAX);
    for (uint32_t i = 0; i < whole.n_alpn; i++)
        check_inside(scratch, whole.alpn[i]);
    const uint8_t *m = (const uint8_t *)scratch;
    check_cut(&whole, scratch, 4 + ((size_t)m[1] << 16 | (size_t)m[2] << 8 | m[3]));
    return 0;
}

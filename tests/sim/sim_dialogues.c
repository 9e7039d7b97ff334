// SPDX-License-Identifier: MIT
// The table of the standard dialogues of mode http. Read by test_dialogues.c and test_faults.c.
#include "dialogues.h"

static void second_server_only(struct sim *t)
{
    t->dial[0] = DIAL_REFUSE;
}

static void second_server_now(struct sim *t)
{
    t->dial[0] = DIAL_REFUSE_NOW;
}

#define ROUTES                                                                                     \
    "routes:\n- {path: /deny, deny: 403}\n- {path: /old/, redirect: /new/, status: 301}\n"         \
    "- {backend: default}\n"
#define X4(s) s s s s
#define UPLOAD_4K X4(X4(X4(X4(X4("uuuu")))))
#define UPLOAD X4(UPLOAD_4K) X4(UPLOAD_4K) UPLOAD_4K UPLOAD_4K // 40960: more than two buffers

// clang-format off
const struct dialogue dialogues[] = {
    {.name = "GET", .request = {{"GET", "/len"}}, .piece = {{0, GET("/len")}}, .answers = 1},
    {.name = "GET, keep-alive", .request = {{"GET", "/len1"}, {"GET", "/len2"}, {"GET", "/len3"}},
     .piece = {{0, GET("/len1")}, {1, GET("/len2")}, {2, GET("/len3")}}, .answers = 3},
    {.name = "GET, server closes after each", .request = {{"GET", "/last1"}, {"GET", "/last2"}},
     .piece = {{0, GET("/last1")}, {1, GET("/last2")}}, .answers = 2},
    {.name = "POST with length", .request = {{"POST", "/len1"}, {"POST", "/len2"}},
     .piece = {{0, "POST /len1 HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n01234"}, {0, "56789"},
               {1, "POST /len2 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"}}, .answers = 2},
    {.name = "chunked upload with trailers", .request = {{"PUT", "/len1"}, {"POST", "/len2"}},
     .piece = {{0, "PUT /len1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"},
               {0, "5;x=y\r\nhello\r\n3\r\nabc\r\n0\r\nX-Trailer: 1\r\n\r\n"},
               {1, "POST /len2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nz\r\n0\r\n\r\n"}}, .answers = 2},
    {.name = "chunked response", .request = {{"GET", "/chunked1"}, {"GET", "/chunked2"}},
     .piece = {{0, GET("/chunked1")}, {1, GET("/chunked2")}}, .answers = 2},
    {.name = "close-delimited response", .request = {{"GET", "/close"}},
     .piece = {{0, GET("/close")}}, .answers = 1},
    {.name = "100-continue", .request = {{"POST", "/100"}, {"GET", "/len"}},
     .piece = {{0, "POST /100 HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"},
               {1, "data"}, {2, GET("/len")}}, .answers = 3},
    {.name = "pipelining", .request = {{"GET", "/len1"}, {"GET", "/chunked2"}, {"POST", "/len3"}, {"GET", "/204-4"}, {"GET", "/len5"}},
     .piece = {{0, GET("/len1") GET("/chunked2") "POST /len3 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nxy" GET("/204-4")}, {0, GET("/len5")}}, .answers = 5},
    {.name = "big response", .request = {{"GET", "/big"}, {"GET", "/len"}},
     .piece = {{0, GET("/big")}, {1, GET("/len")}}, .answers = 2},
    {.name = "big upload", .request = {{"PUT", "/len"}}, .piece = {{0, "PUT /len HTTP/1.1\r\nHost: a\r\nContent-Length: 40960\r\n\r\n" UPLOAD}}, .answers = 1},
    {.name = "early response to a big upload", .request = {{"POST", "/early"}},
     .piece = {{0, "POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 40960\r\n\r\n" UPLOAD}}, .answers = 1},
    {.name = "upgrade", .request = {{"GET", "/tunnel"}},
     .piece = {{0, "GET /tunnel HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n"}, {1, "ping"}}, .answers = 1},
    {.name = "HEAD", .request = {{"HEAD", "/len1"}, {"GET", "/len2"}},
     .piece = {{0, "HEAD /len1 HTTP/1.1\r\nHost: a\r\n\r\n" GET("/len2")}}, .answers = 2},
    {.name = "204", .request = {{"GET", "/204"}, {"GET", "/len"}},
     .piece = {{0, GET("/204")}, {1, GET("/len")}}, .answers = 2},
    {.name = "HTTP/1.0", .request = {{"GET", "/len"}}, .piece = {{0, "GET /len HTTP/1.0\r\n\r\n"}}, .answers = 1, .http10 = true},
    {.name = "HTTP/1.0, kept", .request = {{"GET", "/len1"}, {"GET", "/len2"}},
     .piece = {{0, "GET /len1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"}, {1, "GET /len2 HTTP/1.0\r\n\r\n"}}, .answers = 2, .http10 = true},
    {.name = "HTTP/1.0, chunked answer", .request = {{"GET", "/chunked"}},
     .piece = {{0, "GET /chunked HTTP/1.0\r\n\r\n"}}, .answers = 1, .http10 = true},
    {.name = "connect refused, then another server", .yaml = "servers: [10.0.0.1:80, 10.0.0.2:80]\n",
     .request = {{"POST", "/len1"}, {"GET", "/len2"}}, .setup = second_server_only,
     .piece = {{0, "POST /len1 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nxy"}, {1, GET("/len2")}}, .answers = 2},
    {.name = "connect refused at once", .yaml = "servers: [10.0.0.1:80, 10.0.0.2:80]\n",
     .request = {{"POST", "/len1"}}, .setup = second_server_now,
     .piece = {{0, "POST /len1 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nxy"}}, .answers = 1},
    {.name = "PROXY header to the server", .yaml = "send-proxy: v1\n",
     .request = {{"GET", "/len1"}, {"GET", "/len2"}},
     .piece = {{0, GET("/len1")}, {1, GET("/len2")}}, .answers = 2},
    {.name = "denied and redirected here", .yaml = ROUTES, .local = true,
     .request = {{"GET", "/deny"}, {"POST", "/old/x"}, {"GET", "/len"}},
     .piece = {{0, GET("/deny")}, {1, "POST /old/x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nxy"}}, .answers = 2},
    {.name = "pooled connection closed by the server, GET", .request = {{"GET", "/idle1"}, {"GET", "/len2"}},
     .piece = {{0, GET("/idle1")}, {1, GET("/len2")}}, .answers = 2},
    {.name = "pooled connection closed by the server, POST", .racy = true, .request = {{"GET", "/idle1"}, {"POST", "/len2"}},
     .piece = {{0, GET("/idle1")}, {1, "POST /len2 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nxy"}}, .answers = 2},
    {.name = "never reused", .yaml = "reuse: never\n",
     .request = {{"GET", "/len1"}, {"POST", "/len2"}},
     .piece = {{0, GET("/len1")}, {1, "POST /len2 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nxy"}}, .answers = 2},
};
// clang-format on

const size_t n_dialogues = ARRAY_LEN(dialogues);

/* SPDX-License-Identifier: MIT */
#ifndef SIM_HTTP_SERVER_H
#define SIM_HTTP_SERVER_H

#include "conn.h"

/* For conn.c: the connection as an HTTP/1 server. */
extern const struct conn_ops http_ops;

#endif

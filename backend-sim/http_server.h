/* SPDX-License-Identifier: MIT */
#ifndef SIM_HTTP_SERVER_H
#define SIM_HTTP_SERVER_H

#include "conn.h"

extern const struct conn_ops http_ops;

#endif

// SPDX-License-Identifier: MIT
// What can only be judged when everything is known: modes, duplicates, unreachable routes.
#ifndef EVLB_CONF_VERIFY_H
#define EVLB_CONF_VERIFY_H

#include "conf/bind.h"

void verify(struct binder *b, const struct conf_file *files);

#endif

// SPDX-License-Identifier: MIT
// ${VAR}, ${VAR:-default}, ${VAR:?message}, ${file:PATH}, ${cred:NAME} and $$ in scalars. Runs
// after YAML parsing: a value can never become structure.
#ifndef EVLB_CONF_INTERPOLATE_H
#define EVLB_CONF_INTERPOLATE_H

#include "conf/yaml_tree.h"

// Fills value, origin and secret of the scalar `n`, once. False: there is a finding, the node is
// poisoned and its value is its text.
bool interpolate(struct arena *a, const struct config_source *source, struct findings *f,
                 struct node *n) MUST_CHECK;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_fault - named points where a test kills the process.
 *
 * Built with --enable-fault-points, the environment variable
 * CF_FAULT="name:n" makes the n-th pass of the point `name` end the process
 * with SIGKILL.  In a normal build the macro is empty.
 */
#ifndef CF_COMMON_FAULT_H
#define CF_COMMON_FAULT_H

#include "config.h"

#ifdef CF_FAULT_POINTS
void cf_fault_hit(const char *name);
#define cf_fault(name) cf_fault_hit(name)
#else
#define cf_fault(name) ((void)0)
#endif

#endif

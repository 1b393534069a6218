/* Libraries that few commands need, loaded by those (docs/decisions/0008-libraries-when-needed.md). */
#ifndef NET_LATE_H
#define NET_LATE_H

#include <stdbool.h>
#include <stddef.h>

struct late_call {
    const char *name;
    void *out; /* a pointer to a pointer to a function of that name's type */
};

/* Loads the library and fills every `out`; it stays for the life of the process. false: this machine does not have it, or without one of these. */
bool late_load(const char *library, const struct late_call *calls, size_t count);

#endif

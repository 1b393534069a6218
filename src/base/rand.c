#include "base/rand.h"

#include "base/log.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

void rand_bytes(void *out, size_t len)
{
    char *p = out;
    while (len > 0) {
        ssize_t got = getrandom(p, len, 0);
        if (got < 0) {
            if (errno == EINTR)
                continue;
            log_error("rand.failed", "errno=%d next=abort", errno);
            abort();
        }
        p += got;
        len -= (size_t)got;
    }
}

uint32_t rand_below(uint32_t below)
{
    assert(below > 0);
    uint32_t limit = UINT32_MAX - UINT32_MAX % below;
    uint32_t n;
    do
        rand_bytes(&n, sizeof n);
    while (n >= limit);
    return n % below;
}

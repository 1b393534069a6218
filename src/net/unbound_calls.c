#include "net/unbound_calls.h"

#include "net/late.h"

#include <pthread.h>

static struct unbound_calls calls;
static bool loaded;

static void load(void)
{
    const struct late_call all[] = {
        { "ub_ctx_create", &calls.ctx_create },
        { "ub_ctx_delete", &calls.ctx_delete },
        { "ub_ctx_debugout", &calls.ctx_debugout },
        { "ub_ctx_debuglevel", &calls.ctx_debuglevel },
        { "ub_ctx_set_option", &calls.ctx_set_option },
        { "ub_ctx_async", &calls.ctx_async },
        { "ub_ctx_set_fwd", &calls.ctx_set_fwd },
        { "ub_ctx_resolvconf", &calls.ctx_resolvconf },
        { "ub_ctx_hosts", &calls.ctx_hosts },
        { "ub_ctx_add_ta", &calls.ctx_add_ta },
        { "ub_ctx_add_ta_file", &calls.ctx_add_ta_file },
        { "ub_fd", &calls.fd },
        { "ub_process", &calls.process },
        { "ub_resolve_async", &calls.resolve_async },
        { "ub_cancel", &calls.cancel },
        { "ub_resolve_free", &calls.resolve_free },
    };
    loaded = late_load(UNBOUND_LIBRARY, all, sizeof all / sizeof all[0]);
}

const struct unbound_calls *unbound_calls(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, load);
    return loaded ? &calls : NULL;
}

/* libunbound, loaded when the first name is to be looked up with DNSSEC: by discovery, not by a server or a client that knows its servers. It brings
 * four libraries with it (docs/decisions/0008-libraries-when-needed.md). */
#ifndef NET_UNBOUND_CALLS_H
#define NET_UNBOUND_CALLS_H

#include <unbound.h>

#define UNBOUND_LIBRARY                                                                            \
    "libunbound.so.8" /* the name goes with the calls: another number means other calls */

struct unbound_calls {
    __typeof__(ub_ctx_create) *ctx_create;
    __typeof__(ub_ctx_delete) *ctx_delete;
    __typeof__(ub_ctx_debugout) *ctx_debugout;
    __typeof__(ub_ctx_debuglevel) *ctx_debuglevel;
    __typeof__(ub_ctx_set_option) *ctx_set_option;
    __typeof__(ub_ctx_async) *ctx_async;
    __typeof__(ub_ctx_set_fwd) *ctx_set_fwd;
    __typeof__(ub_ctx_resolvconf) *ctx_resolvconf;
    __typeof__(ub_ctx_hosts) *ctx_hosts;
    __typeof__(ub_ctx_add_ta) *ctx_add_ta;
    __typeof__(ub_ctx_add_ta_file) *ctx_add_ta_file;
    __typeof__(ub_fd) *fd;
    __typeof__(ub_process) *process;
    __typeof__(ub_resolve_async) *resolve_async;
    __typeof__(ub_cancel) *cancel;
    __typeof__(ub_resolve_free) *resolve_free;
};

/* Loads it once, from whatever thread comes first. NULL when this machine does not have it, then and ever after. */
const struct unbound_calls *unbound_calls(void);

#endif

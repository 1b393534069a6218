/* TLS for servers: OpenSSL 3, TLS 1.2 and 1.3, tickets for resumption, buffers released while parked. */
#ifndef NET_TLS_H
#define NET_TLS_H

#include "base/err.h"

struct tls_server; /* shared, ref */

/* PEM files. The key file is refused when group or others can write it or others can read it. note says what is wrong. */
enum err MUST_USE tls_server_load(const char *cert_file, const char *key_file, struct tls_server **out_tls,
        struct err_note *note);
struct tls_server *tls_server_ref(struct tls_server *tls);
void tls_server_unref(struct tls_server *tls);

/* Makes a self-signed P-256 certificate for the names (NULL-terminated; each a host name or IP address) and writes both PEM files
 * (0644, 0600), replacing nothing that exists (ERR_EXISTS). */
enum err MUST_USE tls_make_self_signed(const char *const *names, int days, const char *cert_file,
        const char *key_file, struct err_note *note);

#endif

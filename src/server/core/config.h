/* barid.conf: INI, read by `barid serve` and the other verbs. An unknown key or a bad value is refused with the line, the nearest
 * key and the accepted range. Immutable once read; shared by reference. The table of keys (name, range, default, one line of help) is in config.c
 * and is what `barid config explain` prints. */
#ifndef SERVER_CORE_CONFIG_H
#define SERVER_CORE_CONFIG_H

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

enum protocol {
    PROTOCOL_IMAP,
    PROTOCOL_POP3,
    PROTOCOL_SMTP,       /* mail from other servers */
    PROTOCOL_SUBMISSION, /* mail from our users */
    PROTOCOL_LMTP,
    PROTOCOL_COUNT,
};
const char *protocol_name(enum protocol protocol);

#define LISTENERS_MAX 32
#define LISTEN_KEYS   8

struct listener {
    enum protocol protocol;
    bool implicit_tls;
    char address[128]; /* IP address, or "/path" */
    int port;
};

struct config {
    char hostname[256];  /* [server] hostname: greetings, Received, Message-ID */
    char data_dir[512];  /* [server] data */
    char run_user[64];   /* [server] user: dropped to after binding when started as root; "" = stay */
    char log_level[8];
    char cert_file[512], key_file[512]; /* [tls]; "" = made self-signed in the data directory */
    struct listener listeners[LISTENERS_MAX];
    size_t listener_count;
    bool plain_login_on_loopback; /* [login] plain_on_loopback */
    uint64_t message_bytes_max;   /* [limits] message_bytes */
    char quota_full[8];           /* [quota] full: "later" or "refuse" */
    unsigned quota_warn_percent;  /* [quota] warn_percent; 0 = no warning */
    unsigned connections_per_address_max, connections_max, threads, accounts_open_max;
    char listen_text[LISTEN_KEYS][256]; /* the listen keys as written; listeners[] is made from them */
    unsigned char set_by_file[64];      /* per key of the table in config.c */
    char file[512];                     /* where it was read from; "" for built-in values */
    bool test_addresses; /* never from a file: `barid demo` only; user+tempfail@, +permfail@, +slow@ behave as named */
    int slow_ms;         /* how long +slow waits */
};

/* Makes listeners[] anew from listen_text. For the demo, which sets them itself. */
enum err MUST_USE config_parse_listeners(struct config *config, struct err_note *note);

/* NULL file: built-in defaults (what `barid demo` starts from). note has the sentence for the person. */
enum err MUST_USE config_load(const char *file, struct config **out_config, struct err_note *note);
struct config *config_ref(struct config *config);
void config_unref(struct config *config);
/* All keys with their values and where they came from. */
void config_show(const struct config *config, struct buf *out);
/* One key: meaning, range, default. ERR_NOT_FOUND: out then has the nearest keys. */
enum err MUST_USE config_explain(struct slice key, struct buf *out);

#endif

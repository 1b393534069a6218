/* Mail of another server, read from its files message by message: a Maildir with its folders (Maildir++, or folders in folders), an mbox, or a mailbox of
 * Cyrus. Nothing there is written to. Blocking.
 *
 * Each message gets an id (guid) that follows from its mailbox, its date there and its bytes: what was read once is known when it is read again. */
#ifndef IMPORT_IMPORT_H
#define IMPORT_IMPORT_H

#include "base/err.h"
#include "store/store.h"

enum import_format {
    IMPORT_AUTO, /* a file is an mbox, a folder a Maildir */
    IMPORT_MAILDIR,
    IMPORT_MBOX,   /* mboxrd */
    IMPORT_MBOX_O, /* mboxo */
    IMPORT_CYRUS,
};

/* Where the UIDLs come from that POP3 programs know. */
enum import_uidls {
    IMPORT_UIDLS_AUTO, /* from what lies there; none when nothing says which */
    IMPORT_UIDLS_NONE,
    IMPORT_UIDLS_DOVECOT, /* dovecot-uidlist, or X-IMAPbase and X-UID in an mbox */
    IMPORT_UIDLS_COURIER, /* courierpop3dsizelist; without it the names of the files, as its first versions did */
    IMPORT_UIDLS_X_UIDL,  /* X-UIDL (Qpopper) */
    IMPORT_UIDLS_UW,      /* X-IMAPbase and X-UID (ipop3d of the University of Washington) */
    IMPORT_UIDLS_CYRUS,   /* UIDVALIDITY.UID */
};
const char *import_uidls_name(enum import_uidls uidls); /* as it is typed */

struct import_options {
    const char *path;
    enum import_format format;
    enum import_uidls uidls;
    struct slice uidl_format; /* Dovecot's pop3_uidl_format (uids.h); empty: its default */
    uint32_t uidvalidity;     /* of a mailbox of Cyrus; 0: not known, and so no UIDLs */
    struct slice mailbox;     /* where it goes, folders below it; empty: INBOX, folders beside it */
};

/* A message. All of it is borrowed until the function that takes it returns. */
struct import_item {
    struct slice mailbox;
    struct blob *blob; /* finished; NULL when only counting */
    struct store_flags flags;
    int64_t received_s;
    unsigned char guid[16]; /* not when only counting */
    struct slice uidl;      /* store_uidl_ok; empty: it had none */
};

enum import_trouble {
    IMPORT_UNREADABLE,
    IMPORT_EMPTY,      /* a file without a byte in it */
    IMPORT_COMPRESSED,
    IMPORT_TOO_LARGE,  /* IMPORT_MESSAGE_BYTES_MAX */
    IMPORT_NO_NAME,    /* a folder whose name cannot be one here: it goes to a mailbox of another name */
};
#define IMPORT_MESSAGE_BYTES_MAX (1u << 30)

/* What is done with it. The first error ends the reading. */
struct import_sink {
    void *sink_arg;
    /* Where the bytes of the next message are put; NULL: only counting. No blob that came from there before is left. */
    enum err (*store)(void *sink_arg, struct store **out_store);
    enum err (*mailbox)(void *sink_arg, struct slice name); /* before its messages, if it has any */
    enum err (*message)(void *sink_arg, const struct import_item *item);
    void (*trouble)(void *sink_arg, const char *path, enum import_trouble what);
};

/* Why nothing of it was read. */
enum import_problem {
    IMPORT_FINE,
    IMPORT_NOT_OPENED,  /* errno says why */
    IMPORT_NO_FILE,     /* something else than a file, or than a folder */
    IMPORT_NO_FOLDER,
    IMPORT_NO_MAILDIR,  /* a folder without "cur" in it */
    IMPORT_NO_MBOX,     /* does not begin with a line "From SENDER DATE" */
    IMPORT_NO_CYRUS,    /* a folder without files like "1." */
    IMPORT_LIST,        /* what a server wrote down about UIDs cannot be understood; without it programs would fetch everything anew */
    IMPORT_UNCLEAR,     /* UIDs are there, but Dovecot and UW make different UIDLs of them: somebody must say which it was */
};

struct import_result {
    enum import_uidls uidls; /* which were taken; NONE when none were found */
    uint64_t uidls_bad;      /* that no POP3 program can have known (RFC 1939 §7) */
    enum import_problem problem;
    int problem_errno;
    char problem_path[4096];
};

/* Gives the sink's errors and those of reading what stands at the top (then there is a problem). A message or a folder that cannot be read is told as
 * trouble, and the rest goes on. out_result is always set. */
enum err MUST_USE import_run(const struct import_options *options, const struct import_sink *sink,
    struct import_result *out_result);

#endif

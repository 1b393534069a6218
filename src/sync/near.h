/* The near side of a synchronisation: a tree of Maildirs.
 *
 * A message is one file, in new/ or cur/ of its folder; its name up to ":2," (the base) never changes while it lives, what stands behind are its
 * flags. Line ends are LF on disk and CRLF on the way (near_draft has the exception). Keywords are letters, named in dovecot-keywords. Blocking; not thread-safe. */
#ifndef SYNC_NEAR_H
#define SYNC_NEAR_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/map.h"
#include "client/core/account.h"

/* ---- flags: bits of one folder ---- */

enum sync_flag {
    SYNC_DRAFT = 1 << 0,    /* D */
    SYNC_FLAGGED = 1 << 1,  /* F */
    SYNC_PASSED = 1 << 2,   /* P: $Forwarded */
    SYNC_ANSWERED = 1 << 3, /* R */
    SYNC_SEEN = 1 << 4,     /* S */
    SYNC_TRASHED = 1 << 5,  /* T: \Deleted */
    SYNC_KEYWORD = 1 << 6,  /* the first of SYNC_KEYWORDS_MAX keywords, a to z on disk */
};
#define SYNC_KEYWORDS_MAX 26u /* letters; what a folder has more stays on the server as it is */

struct sync_keywords {
    char *names[SYNC_KEYWORDS_MAX]; /* owned; NULL: free */
};
void sync_keywords_done(struct sync_keywords *keywords);
/* The bit of a keyword; a free one is given to a new keyword. 0 when there is none left, and for what is no keyword of RFC 9051 §9. */
uint32_t sync_keyword_bit(struct sync_keywords *keywords, struct slice name, bool *out_new);

/* ---- folders ---- */

/* Relative path of a far folder, from its name in UTF-8 (or raw, when it cannot be decoded) cut at its delimiter. Never leaves the tree, and two
 * names never have the same path: what cannot stand in a file name is "%XX". ERR_LIMIT: too long; ERR_SYNTAX: an empty part. */
enum err MUST_USE near_path_of(
    struct slice name, bool raw, char delimiter, enum client_layout layout, struct buf *out_path);
/* The way back, for a folder made here: ERR_SYNTAX when its name cannot be one there (the delimiter in it). */
enum err MUST_USE near_name_of(
    struct slice path, char delimiter, enum client_layout layout, struct buf *out_name);

/* Calls back with the path of every Maildir below root. Symbolic links are not followed. */
typedef enum err (*near_folder_fn)(void *arg, const char *path);
enum err MUST_USE near_list(const char *root, enum client_layout layout, near_folder_fn each,
    void *arg, struct err_note *note);

/* Whether something lies at the path of a folder that was not found, so that it is not simply gone: a symbolic link on the way, what is no folder, a Maildir that has
 * lost its cur/ and has mail in new/. */
bool near_is_in_doubt(int root_fd, const char *path);

struct near_file {
    struct slice base;
    const char *name; /* with its flags */
    uint32_t flags;
    bool in_new;
    bool
        odd; /* it is no regular file: a symbolic link, a folder. It stays as it is; its message is not gone */
    bool twice; /* another name has the same base: which flags are meant is not known */
    void *row;  /* whoever scans may leave a mark */
};

struct near_folder {
    int fd, new_fd, cur_fd, tmp_fd;
    const char *path; /* borrowed; relative to the root */
    struct near_file *files;
    size_t count, cap;
    struct map by_base;                      /* base -> index + 1 */
    bool has_keywords;                       /* there is a dovecot-keywords */
    uint32_t letter_bits[SYNC_KEYWORDS_MAX]; /* what a letter on disk stands for */
};

/* What may be made of a Maildir that is opened. */
enum near_make {
    NEAR_READ,     /* nothing: new_fd and tmp_fd are -1 where they are missing */
    NEAR_COMPLETE, /* new/ and tmp/, of one that has cur/ */
    NEAR_MAKE,     /* all of it, the folders that it is in too */
};
/* Opens the Maildir. ERR_NOT_FOUND. */
enum err MUST_USE near_open(int root_fd, const char *path, enum near_make make,
    struct near_folder *out_folder, struct err_note *note);
void near_close(struct near_folder *folder);
/* One with nothing in it and nothing behind it: what a folder is that is yet to be made. */
void near_none(const char *path, struct near_folder *out_folder);
/* Reads new/ and cur/; names in the arena. keywords learns those of dovecot-keywords. */
enum err MUST_USE near_scan(struct near_folder *folder, struct arena *arena,
    struct sync_keywords *keywords, struct err_note *note);
struct near_file *near_find(const struct near_folder *folder, struct slice base);
/* What ":2,..." behind a base means in a folder that was scanned. */
uint32_t near_flags_in(const struct near_folder *folder, struct slice info);
/* Removes tmp files that are older than a day and a half: of deliveries that were cut. */
void near_sweep(struct near_folder *folder);
/* Whether a keyword has no letter yet, or none that other programs could read. */
bool near_lacks_keywords(const struct near_folder *folder, const struct sync_keywords *keywords);
/* Writes dovecot-keywords anew, when a keyword has come. */
enum err MUST_USE near_write_keywords(
    struct near_folder *folder, const struct sync_keywords *keywords);

/* ---- messages ---- */

/* Ours alone in the world, short, no ":" in it. */
void near_new_base(char out_base[80]);
/* A file being written, its facts gathered on the way. Line ends are LF in it, unless the message has CR CR LF somewhere: read back, that would be CRLF.
 * Such a message is kept as it came, CRLF and all. */
struct near_draft {
    int fd, folder_fd; /* folder_fd: borrowed */
    char name[81];     /* in folder_fd: "." and base when it is hidden, else base */
    char base[80];
    uint64_t bytes;    /* as they come, CRLF */
    struct buf header; /* while it is read, bounded */
    bool header_done;
    bool held_cr, took_cr; /* the last byte is a CR; the one before it, and is taken */
    bool as_it_came;
    struct buf out; /* not yet written */
    void *hash;     /* of its bytes with LF */
};
/* In tmp/ of a Maildir, under its base. */
enum err MUST_USE near_draft_open(struct near_folder *folder, struct near_draft *out_draft);
/* Hidden in a folder of another kind: its owner renames it. */
enum err MUST_USE near_draft_open_hidden(int folder_fd, struct near_draft *out_draft);
enum err MUST_USE near_draft_add(struct near_draft *draft, struct slice piece);
/* Facts of the whole message. */
struct sync_facts {
    uint64_t bytes;         /* with CRLF: RFC822.SIZE */
    uint64_t message_id;    /* hash of its Message-ID; 0: it has none */
    unsigned char hash[16]; /* of its bytes with LF */
};
/* Ends it: written, its time set; not yet synced (near_sync) and still in tmp/. The descriptor is closed. */
enum err MUST_USE near_draft_end(
    struct near_draft *draft, int64_t received_s, struct sync_facts *out_facts);
/* Throws it away, ended or not. */
void near_draft_drop(struct near_draft *draft);
/* The same, of one that ended, when only its base is known. */
void near_draft_forget(const struct near_folder *folder, const char *base);
/* All drafts that ended are on disk, whatever happens then. */
enum err MUST_USE near_sync(const struct near_folder *folder);
/* Moves a draft to its place. flags decide between new/ and cur/. */
enum err MUST_USE near_file_draft(struct near_folder *folder, const char *base, uint32_t flags);
/* The name of a message, NUL and all: its letters are those of a folder that was scanned, keywords left out of one that was not. */
void near_name(
    const struct near_folder *folder, struct slice base, uint32_t flags, struct buf *out);
/* new/ and cur/ are on disk, names included. */
enum err MUST_USE near_sync_names(const struct near_folder *folder);
/* Renames for new flags. file->name is in the arena afterwards. */
enum err MUST_USE near_set_flags(
    struct near_folder *folder, struct near_file *file, uint32_t flags, struct arena *arena);
/* To another folder, under its base; flags are bits of that folder. out_file (may be NULL) is the file there, its name in the arena. */
enum err MUST_USE near_move(struct near_folder *from, const struct near_file *file,
    struct near_folder *to, uint32_t flags, struct arena *arena, struct near_file *out_file);
/* Replaces nothing (ERR_EXISTS); from another file system it copies. */
enum err MUST_USE near_rename(int from_fd, const char *from, int to_fd, const char *to);
/* Out of the tree, to a folder `undo_fd` (made by the caller; any file system), under its name, or a new one when that is taken. */
enum err MUST_USE near_take_out(
    struct near_folder *folder, const struct near_file *file, int undo_fd);

/* Facts of bytes that come in pieces and are kept nowhere. near_facts_end releases it, also when it is not whole. */
void near_facts_begin(struct near_draft *draft);
void near_facts_add(struct near_draft *draft, struct slice piece);
void near_facts_end(struct near_draft *draft, struct sync_facts *out_facts);

/* For sending: facts as above, and when it was received. ERR_NOT_FOUND: it was renamed or removed since; ERR_DENIED: it is not ours to read, or no regular file. */
enum err MUST_USE near_read_facts(struct near_folder *folder, const struct near_file *file,
    struct sync_facts *out_facts, int64_t *out_received_s);
#define NEAR_TUID_BYTES 22u /* "X-TUID: ABCDEFGHIJKL" and CRLF */
/* out_pure: the facts that the message had before mbsync put its field X-TUID into it; the same where there is none. */
enum err MUST_USE near_read_both_facts(struct near_folder *folder, const struct near_file *file,
    struct sync_facts *out_facts, struct sync_facts *out_pure, int64_t *out_received_s);
/* Reads it as it goes out: CRLF line ends. */
struct near_reader {
    int fd;
    char in[32768];
    size_t at, len;
    bool cr, lf_due;
};
enum err MUST_USE near_reader_open(
    struct near_folder *folder, const struct near_file *file, struct near_reader *out_reader);
void near_reader_close(struct near_reader *reader);
enum err MUST_USE near_reader_fill(
    void *reader, char *to, size_t len); /* an imapc_source_fn: exactly len bytes, or an error */

/* Hash of a Message-ID as it stands in a header section; 0: none. */
uint64_t sync_message_id(struct slice header);

#endif

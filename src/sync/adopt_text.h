/* What mbsync (isync) and offlineimap wrote down about mail that they had synchronised: names of files, state, configuration. Pure.
 *
 *     1795753576.10452_3.host,U=3:2,S                  mbsync: U is a number of its own; .mbsyncstate says which UID it is on the server
 *     1795753561_2.10173.host,U=3,FMD5=7e33...:2,S     offlineimap: U is the UID on the server; FMD5 is a hash of the folder's name */
#ifndef SYNC_ADOPT_TEXT_H
#define SYNC_ADOPT_TEXT_H

#include "base/arena.h"
#include "base/buf.h"
#include "sync/near.h"

/* The number behind ",U=" in a base; 0: it has none, or more than one. */
uint32_t adopt_uid(struct slice base);
/* What stands behind ",FMD5="; empty: nothing. */
struct slice adopt_folder_hash(struct slice base);
/* Letters of a Maildir in any order, as bits. ERR_SYNTAX: others are among them. */
enum err MUST_USE adopt_flags(struct slice letters, uint32_t *out_flags);

enum adopt_kind {
    ADOPT_PAIR,        /* on both sides */
    ADOPT_PLACEHOLDER, /* here is a note that says how large the message is */
    ADOPT_OTHER,       /* nothing follows from it: left out, expired, half done */
};
struct adopt_entry {
    uint32_t far_uid, near_uid; /* near_uid: of adopt_uid */
    uint32_t flags;             /* on both sides when it was last run; no keywords */
    enum adopt_kind kind;
};
struct adopt_state {
    uint32_t far_uidvalidity, near_uidvalidity; /* near: 0 for offlineimap, which needs none */
    struct adopt_entry *entries;                /* arena */
    size_t count, cap;
};
/* ERR_LIMIT: the arena is full. */
enum err MUST_USE adopt_add(
    struct adopt_state *state, struct arena *arena, const struct adopt_entry *entry);

/* The whole of .mbsyncstate of mbsync 1.3 and 1.4. out_state is zero. ERR_SYNTAX. */
enum err MUST_USE adopt_mbsync(
    struct slice text, struct arena *arena, struct adopt_state *out_state);
/* The first line of a file is a number: .uidvalidity of mbsync, FolderValidity of offlineimap. 0: it is none. */
uint32_t adopt_number(struct slice text);

/* What offlineimap's configuration says of the Maildir at this path. All in the arena. */
struct adopt_offlineimap {
    struct slice account, remote; /* names */
    struct slice metadata;        /* the folder where it keeps what it knows */
};
/* ERR_NOT_FOUND: it knows no such Maildir, or more than one account has it. home stands for "~". */
enum err MUST_USE adopt_offlineimap_config(struct slice text, struct slice home,
    struct slice maildir, struct arena *arena, struct adopt_offlineimap *out);

#endif

/* Mailboxes of a server copied into files: a Maildir with folders in it, or an mbox for each folder. Nothing there is changed (EXAMINE, BODY.PEEK).
 *
 * E-1  A message counts as exported when its bytes and its name are on disk.
 * E-2  What is there says itself which messages it holds: names of files in a Maildir end with UIDVALIDITY and UID, an mbox has a small file beside it. So a run
 *      that is killed, or repeated, fetches what is missing and nothing else.
 * E-3  The folder is the export's own: it was empty when the first run began, and has the file .barid-export since, which says whose mail it is. Only one run is in it at
 *      a time. Files that others put there are neither replaced nor changed.
 *
 * Blocking. */
#ifndef EXPORT_EXPORT_H
#define EXPORT_EXPORT_H

#include "client/imap/imapc_mail.h"
#include "export/path.h"

struct export;

struct export_options {
    struct imapc *imap; /* borrowed, as all here; logged in */
    const char *path;   /* made when it is missing */
    const char *owner;  /* "salma@barid.test imap.barid.test": whose mail it is, in one line */
    enum export_format format;
    bool dry_run;                                   /* writes nothing, not even the folder */
    void (*progress)(void *arg, uint64_t messages); /* may be NULL */
    void *arg;
};

/* Why a folder, or everything, was not exported. */
enum export_stop {
    EXPORT_FINE,
    EXPORT_REFUSED,        /* the server refuses; imapc_words says why */
    EXPORT_NO_UIDVALIDITY, /* messages there cannot be told apart */
    EXPORT_FOREIGN,        /* a file of somebody else stands where the mbox would */
    EXPORT_CHANGED,        /* another program has changed the mbox since */
    EXPORT_NOT_EMPTY,      /* the folder holds other things */
    EXPORT_OTHER_OWNER,    /* or the mail of another account, or in the other format */
    EXPORT_RUNNING,        /* another run is in it */
    EXPORT_DISK,           /* note says what */
    EXPORT_BROKEN,         /* the connection is lost: imapc_failed */
};

/* ERR_OK, or why there is none; note names the file of EXPORT_DISK. */
enum err MUST_USE export_open(const struct export_options *options, struct export **out_export,
    enum export_stop *out_stop, struct err_note *note);
void export_close(struct export *export);

struct export_result {
    enum export_stop stop;
    char *path;        /* owned; below the export's: "" for the top */
    uint64_t there;    /* messages that were exported before */
    uint64_t messages; /* that came now, or would come */
    uint64_t bytes;    /* of these, as the server counts */
    uint64_t
        missing; /* that the server has and did not list, or did not give: gone meanwhile, or its fault */
    uint64_t left_out;    /* messages with keywords that a Maildir has no letter for */
    struct err_note note; /* of EXPORT_DISK */
};
/* One folder. An error ends the export (the disk, the connection); any other stop is the folder's alone, and ERR_OK. export_result_done in any case. */
enum err MUST_USE export_folder(
    struct export *export, const struct imapc_folder *folder, struct export_result *out_result);
void export_result_done(struct export_result *result);

#endif

/* Private to export/: what both formats share. */
#ifndef EXPORT_EXPORT_INT_H
#define EXPORT_EXPORT_INT_H

#include "export/export.h"

#define EXPORT_BATCH_MESSAGES 500u /* that one sync of the disk makes durable */
#define EXPORT_BATCH_BYTES    (16u << 20)

struct export
{
    struct export_options options;
    int top_fd;    /* -1: a dry run before the first real one */
    int marker_fd; /* locked */
    uint64_t told;
};

/* A message that came whole: what the server said with it. */
struct export_facts {
    uint32_t uid;
    const struct imap_value *flags; /* a list, or NULL */
    int64_t received_s;             /* 0: not told */
};

/* Where messages go, in a folder. begin, piece and end come in turn for each; drop instead of end when it turns out to be none that was asked for. */
struct export_sink {
    enum err (*begin)(void *arg);
    enum err (*piece)(void *arg, struct slice bytes);
    enum err (*end)(void *arg, const struct export_facts *facts);
    void (*drop)(void *arg);
    void *arg;
};
/* Fetches these of the selected folder. *uids loses those that came. */
enum err MUST_USE export_take(
    struct export *export, struct uidset *uids, const struct export_sink *sink);
/* Tells of progress. */
void export_told(struct export *export, uint64_t messages);

/* One folder while it is exported. */
struct export_job {
    struct export *export;
    const struct imapc_folder *folder;
    struct export_result *result;
    uint32_t uidvalidity;
    struct uidset uids; /* what is there */
    uint64_t unlisted;  /* that the server says it has, and does not name */
};
/* Take out of job->uids what was exported before, and fetch the rest. */
enum err MUST_USE export_maildir(struct export_job *job);
enum err MUST_USE export_mbox(struct export_job *job);

/* The folder's stop, which is no error of the export. */
enum err export_stopped(struct export_job *job, enum export_stop stop);
/* The disk's error, with what it was about. */
enum err export_disk(struct export_job *job, enum err e, const char *what);
/* A dry run's counts of what is in job->uids. */
enum err MUST_USE export_count(struct export_job *job);

#endif

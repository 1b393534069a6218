/* What is told of a copy. */
#include "bin/copy_show.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "bin/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FAILED_TOLD 20u  /* messages that stay behind are named, up to so many; then counted */
#define PROGRESS_MS 250  /* between two lines of progress: as fast as anybody reads */
#define ETA_MS      2000 /* before that a guess is worth nothing */

void copy_show_clear(const struct copy_show *show)
{
    if (show->live)
        fputs("\r\033[K", stderr);
}

/* ---- progress ---- */

void copy_show_begin(struct copy_show *show, const struct imapc_folder *const *chosen, size_t count)
{
    show->begin_ms = clock_mono_ms();
    for (size_t i = 0; chosen && i < count; i++)
        show->ahead += chosen[i]->messages;
    for (size_t i = 0; !chosen && show->folders && i < show->folders->count; i++)
        show->ahead += show->folders->all[i].messages;
}

static void begin_folder(struct copy_show *show, const struct copy_event *event)
{
    const struct imapc_folder *folder =
        show->folders ? imapc_folder_find(show->folders, slice_of(event->folder)) : NULL;
    uint64_t said = folder ? folder->messages : 0;
    show->ahead -= said < show->ahead ? said : show->ahead;
    show->to_go += event->total;
}

/* "0:03:20"; "?" before there is anything to go by. */
static void write_left(const struct copy_show *show, uint64_t left, char *out, size_t out_bytes)
{
    int64_t spent_ms = clock_mono_ms() - show->begin_ms;
    uint64_t left_s = show->done ? (uint64_t)spent_ms * left / show->done / 1000 : 0;
    if (!show->done || spent_ms < ETA_MS)
        (void)snprintf(out, out_bytes, "?");
    else
        (void)snprintf(out, out_bytes, "%llu:%02llu:%02llu", (unsigned long long)(left_s / 3600),
            (unsigned long long)(left_s / 60 % 60), (unsigned long long)(left_s % 60));
}

static void show_progress(struct copy_show *show, const struct copy_event *event)
{
    int64_t now_ms = clock_mono_ms();
    char rate[40], left[40];
    show->done++;
    if (!show->live || now_ms - show->shown_ms < PROGRESS_MS)
        return;
    show->shown_ms = now_ms;
    uint64_t spent_ms = (uint64_t)(now_ms - show->begin_ms) + 1;
    uint64_t go = (show->to_go > show->done ? show->to_go - show->done : 0) + show->ahead;
    autofree char *folder = cli_safe(slice_of(event->folder));
    write_left(show, go, left, sizeof left);
    copy_show_clear(show);
    cli_progress(MSG_COPY_PROGRESS, folder, (unsigned long long)show->done, (unsigned long long)go,
        client_size(event->counts->bytes * 1000 / spent_ms, rate, sizeof rate), left);
}

/* ---- what is left behind ---- */

static void tell_failed(struct copy_show *show, const struct copy_event *event)
{
    if (show->told++ >= FAILED_TOLD)
        return;
    autofree char *folder = cli_safe(slice_of(event->folder));
    autofree char *text = cli_safe(slice_of(event->text));
    const char *who = event->side == COPY_SIDE_FROM ? show->from : show->to;
    if (event->kind == COPY_MESSAGE_TOO_BIG)
        cli_error(MSG_COPY_TOO_BIG, (unsigned)event->uid, folder, who);
    else
        cli_error(MSG_COPY_FAILED, (unsigned)event->uid, folder, who, text);
}

static void tell_folder(const struct copy_show *show, const struct copy_event *event)
{
    autofree char *folder = cli_safe(slice_of(event->folder));
    autofree char *text = cli_safe(slice_of(event->text));
    const char *who = event->side == COPY_SIDE_FROM ? show->from : show->to;
    if (event->kind == COPY_FOLDER_STOPPED)
        cli_error(MSG_COPY_STOPPED, folder, who, text);
    else if (event->kind == COPY_FOLDER_NO_UIDVALIDITY)
        cli_error(MSG_SYNC_STOP_NO_UIDVALIDITY, folder);
    else if (event->kind == COPY_FOLDER_SHORT)
        cli_error(MSG_COPY_SHORT, folder, show->from, (unsigned long long)event->total);
    else if (event->kind == COPY_FOLDER_SKIPPED)
        cli_error(MSG_COPY_SKIPPED, folder);
    else
        cli_error(MSG_COPY_NAMELESS, folder);
}

/* ---- for programs ---- */

static void print_counts(const struct copy_counts *c)
{
    printf(", \"copied\": %llu, \"bytes\": %llu, \"found\": %llu, \"known\": %llu, \"failed\": %llu"
           ", \"stopped\": %llu",
        (unsigned long long)c->copied, (unsigned long long)c->bytes, (unsigned long long)c->found,
        (unsigned long long)c->known, (unsigned long long)c->failed,
        (unsigned long long)c->stopped);
}

static void print_folder(const struct copy_event *event)
{
    fputs("{\"folder\": ", stdout);
    json_print(slice_of(event->folder));
    fputs(", \"to\": ", stdout);
    json_print(slice_of(event->to));
    print_counts(event->counts);
    puts("}");
    (void)fflush(stdout);
}

void copy_show_event(void *arg, const struct copy_event *event)
{
    struct copy_show *show = arg;
    bool quiet = event->kind == COPY_FOLDER_BEGINS || event->kind == COPY_PROGRESS ||
                 event->kind == COPY_FOLDER_DONE;
    if (!quiet)
        copy_show_clear(show);
    switch (event->kind) {
    case COPY_FOLDER_BEGINS:
        begin_folder(show, event);
        break;
    case COPY_PROGRESS:
        show_progress(show, event);
        break;
    case COPY_FOLDER_DONE:
        if (show->json)
            print_folder(event);
        break;
    case COPY_MESSAGE_FAILED:
    case COPY_MESSAGE_TOO_BIG:
        tell_failed(show, event);
        break;
    case COPY_KEYWORDS_LOST:
        cli_error(MSG_COPY_KEYWORDS_LOST, show->to);
        break;
    case COPY_FOLDER_STOPPED:
    case COPY_FOLDER_NO_UIDVALIDITY:
    case COPY_FOLDER_SHORT:
    case COPY_FOLDER_SKIPPED:
    case COPY_FOLDER_NAMELESS:
    default:
        tell_folder(show, event);
        break;
    }
}

void copy_show_sum(const struct copy_show *show, const struct copy_counts *counts, bool dry_run,
    const struct client_failure *failure)
{
    fputs("{\"from\": ", stdout);
    json_print(slice_of(show->from));
    fputs(", \"to\": ", stdout);
    json_print(slice_of(show->to));
    printf(", \"dry_run\": %s, \"folders\": %llu, \"made\": %llu", dry_run ? "true" : "false",
        (unsigned long long)counts->folders, (unsigned long long)counts->made);
    print_counts(counts);
    printf(", \"skipped\": %llu, \"full\": %s, \"failure\": ", (unsigned long long)counts->skipped,
        counts->full ? "true" : "false");
    if (failure)
        json_print(slice_of(client_why_name(failure->why)));
    else
        fputs("null", stdout);
    puts("}");
}

void copy_show_end(const struct copy_show *show, const struct copy_counts *counts, bool dry_run,
    bool quiet, const struct client_failure *failure)
{
    char size[40];
    copy_show_clear(show);
    if (show->json)
        copy_show_sum(show, counts, dry_run, failure);
    else if (!quiet)
        cli_say(dry_run ? MSG_COPY_WOULD : MSG_COPY_DONE, show->from, show->to,
            (unsigned long long)counts->copied, client_size(counts->bytes, size, sizeof size),
            (unsigned long long)counts->found, (unsigned long long)counts->known);
    if (counts->full)
        cli_error(MSG_COPY_FULL, show->to);
    if (counts->failed)
        cli_error(MSG_COPY_LEFT, (unsigned long long)counts->failed);
}

int copy_exit_code(const struct copy_counts *counts)
{
    if (counts->full)
        return EX_CANTCREAT;
    return counts->stopped || counts->failed ? EX_TEMPFAIL : EX_OK;
}

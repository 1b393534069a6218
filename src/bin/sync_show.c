/* What a synchronisation tells, for people and programs: shared by the verbs that run one. */
#include "bin/sync_show.h"

#include "bin/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what is told on the way ---- */

void sync_show_clear(const struct sync_show *teller)
{
    if (teller->live)
        fputs("\r\033[K", stderr);
}

static void tell_stop(const struct sync_event *event, const char *folder, const char *text)
{
    switch (event->reason) {
    case SYNC_STOP_REFUSED:
        cli_error(MSG_SYNC_STOP_REFUSED, folder, text);
        break;
    case SYNC_STOP_NO_UIDVALIDITY:
        cli_error(MSG_SYNC_STOP_NO_UIDVALIDITY, folder);
        break;
    case SYNC_STOP_INCOMPLETE:
        cli_error(MSG_SYNC_STOP_INCOMPLETE, folder);
        break;
    case SYNC_STOP_SHORT:
        cli_error(MSG_SYNC_STOP_SHORT, folder);
        break;
    case SYNC_STOP_NOT_GIVEN:
        cli_error(MSG_SYNC_STOP_NOT_GIVEN, folder, (unsigned long long)event->count);
        break;
    case SYNC_STOP_FLAGS:
        cli_error(MSG_SYNC_STOP_FLAGS, folder, (unsigned long long)event->count, text);
        break;
    case SYNC_STOP_MOVES:
        cli_error(MSG_SYNC_STOP_MOVES, folder, (unsigned long long)event->count, text);
        break;
    case SYNC_STOP_REMOVALS:
        cli_error(MSG_SYNC_STOP_REMOVALS, folder, (unsigned long long)event->count, text);
        break;
    case SYNC_STOP_NAME_HERE:
        cli_error(MSG_SYNC_STOP_NAME_HERE, folder);
        break;
    case SYNC_STOP_NAME_THERE:
        cli_error(MSG_SYNC_STOP_NAME_THERE, folder);
        break;
    case SYNC_STOP_NO_MAILDIR:
        cli_error(MSG_SYNC_STOP_NO_MAILDIR, folder);
        break;
    case SYNC_STOP_DISK:
    case SYNC_STOP_COUNT:
    default:
        cli_error(MSG_SYNC_STOP_DISK, folder, text);
        break;
    }
}

static void tell_brake(const struct sync_event *event, const char *folder)
{
    bool near = strcmp(event->text, "near") == 0;
    unsigned long long count = event->count;
    if (*folder)
        cli_error(near ? MSG_SYNC_BRAKED_NEAR : MSG_SYNC_BRAKED_FAR, folder, count);
    else
        cli_error(near ? MSG_SYNC_BRAKED_ALL_NEAR : MSG_SYNC_BRAKED_ALL_FAR, count);
}

void sync_show_event(void *arg, const struct sync_event *event)
{
    const struct sync_show *teller = arg;
    char *folder = cli_safe(slice_of(event->folder)), *text = cli_safe(slice_of(event->text));
    if (event->kind != SYNC_PROGRESS)
        sync_show_clear(teller);
    switch (event->kind) {
    case SYNC_FOLDER_STOPPED:
        tell_stop(event, folder, text);
        break;
    case SYNC_BRAKED:
        tell_brake(event, folder);
        break;
    case SYNC_MESSAGE_FAILED:
        cli_error(MSG_SYNC_MESSAGE_FAILED, folder, text);
        break;
    case SYNC_MESSAGE_UNREADABLE:
        cli_error(MSG_SYNC_MESSAGE_UNREADABLE, folder, text);
        break;
    case SYNC_PROGRESS:
        if (teller->live)
            fprintf(stderr, "\r\033[K%s: %llu", folder, (unsigned long long)event->count);
        break;
    case SYNC_FOLDER_DONE:
    default:
        break;
    }
    free(folder);
    free(text);
}

void sync_show_json(const struct client_account *account, const struct sync_counts *c,
    const struct client_failure *failure, bool dry_run)
{
    fputs("{\"account\": ", stdout);
    json_print(slice_of(account->name));
    printf(", \"dry_run\": %s, \"down\": %llu, \"up\": %llu, \"near_flags\": %llu, \"far_flags\": "
           "%llu",
        dry_run ? "true" : "false", (unsigned long long)c->down, (unsigned long long)c->up,
        (unsigned long long)c->near_flags, (unsigned long long)c->far_flags);
    printf(", \"near_removed\": %llu, \"far_removed\": %llu, \"near_moved\": %llu, \"far_moved\": "
           "%llu",
        (unsigned long long)c->near_removed, (unsigned long long)c->far_removed,
        (unsigned long long)c->near_moved, (unsigned long long)c->far_moved);
    printf(", \"near_folders\": %llu, \"far_folders\": %llu, \"failed\": %llu, \"stopped\": %llu, "
           "\"braked\": %llu, "
           "\"left_there\": %llu, \"adopted\": %llu, \"failure\": ",
        (unsigned long long)c->near_folders, (unsigned long long)c->far_folders,
        (unsigned long long)c->failed, (unsigned long long)c->stopped,
        (unsigned long long)c->braked, (unsigned long long)c->left_there,
        (unsigned long long)c->adopted);
    if (failure->err)
        json_print(slice_of(client_why_name(failure->why)));
    else
        fputs("null", stdout);
    puts("}");
}

void sync_show_counts(
    const struct client_account *account, const struct sync_counts *c, bool dry_run)
{
    cli_say(dry_run ? MSG_SYNC_WOULD : MSG_SYNC_DONE, account->name, (unsigned long long)c->down,
        (unsigned long long)c->up, (unsigned long long)(c->near_flags + c->far_flags),
        (unsigned long long)(c->near_moved + c->far_moved), (unsigned long long)c->near_removed,
        (unsigned long long)c->far_removed);
    if (c->adopted)
        cli_say(MSG_SYNC_ADOPTED, (unsigned long long)c->adopted);
    if (c->left_there)
        cli_say(MSG_SYNC_LEFT_THERE, (unsigned long long)c->left_there);
}

int sync_exit_code(const struct sync_counts *counts)
{
    if (counts->braked)
        return SYNC_EX_BRAKE;
    return counts->stopped || counts->failed ? EX_TEMPFAIL : EX_OK;
}

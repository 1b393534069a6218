#include "net/curl_calls.h"

#include "net/late.h"

#include <pthread.h>

static struct curl_calls calls;
static bool loaded;

static void load(void)
{
    const struct late_call all[] = {
        { "curl_global_init", &calls.global_init },
        { "curl_easy_init", &calls.easy_init },
        { "curl_easy_setopt", &calls.setopt },
        { "curl_easy_perform", &calls.perform },
        { "curl_easy_getinfo", &calls.getinfo },
        { "curl_easy_cleanup", &calls.cleanup },
        { "curl_slist_append", &calls.append },
        { "curl_slist_free_all", &calls.free_all },
        { "curl_url", &calls.url },
        { "curl_url_set", &calls.url_set },
        { "curl_url_get", &calls.url_get },
        { "curl_url_cleanup", &calls.url_cleanup },
        { "curl_free", &calls.free },
    };
    loaded = late_load(CURL_LIBRARY, all, sizeof all / sizeof all[0]) &&
             calls.global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
}

const struct curl_calls *curl_calls(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, load);
    return loaded ? &calls : NULL;
}

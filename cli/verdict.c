#include "cli/verdict.h"

enum cli_exit verdict_exit_code(enum stream_reason reason)
{
    switch (reason) {
    case REASON_UNREADABLE:
    case REASON_UNSUPPORTED_CODEC:
    case REASON_TOO_LARGE:
        return CLI_NO_INPUT;
    case REASON_MODEL:
        return CLI_CONFIG;
    case REASON_CRASHED:
    case REASON_INTERNAL:
        return CLI_INTERNAL;
    default:
        return CLI_UNAVAILABLE;
    }
}

const char *verdict_advice(enum stream_reason reason)
{
    switch (reason) {
    case REASON_REFUSED:
        return "check host and port, and that the camera serves RTSP";
    case REASON_DNS:
        return "check the host's name, or give its address";
    case REASON_TIMEOUT:
    case REASON_NO_DATA:
    case REASON_DISCONNECTED:
        return "check that the camera is on and can be reached";
    case REASON_NO_PICTURE:
    case REASON_UNREADABLE:
    case REASON_CRASHED:
        return "check that another player shows it";
    case REASON_UNSUPPORTED_CODEC:
        return "choose H.264 or H.265";
    case REASON_TOO_LARGE:
        return "choose a smaller picture";
    case REASON_MODEL:
        return "check --model and the .modelinfo beside it";
    case REASON_INTERNAL:
        return "check that GStreamer's plugins (base, good, bad, libav) are installed";
    default:
        return NULL;
    }
}

bool verdict_is_hopeless(const struct message_stream_status *status, enum stream_state before,
                         int address_count, int *failures)
{
    if (status->state == STREAM_FAILED)
        return true;
    if (status->state != STREAM_BACKOFF)
        return false;
    *failures += before != STREAM_BACKOFF;
    bool another_address_helps =
        status->reason == REASON_REFUSED || status->reason == REASON_TIMEOUT;
    return !another_address_helps || *failures >= address_count;
}

// whisper.cpp driven plainly: a whole track in one call, greedy, everything else its own default.
//
// plain MODEL LANGUAGE THREADS FILE... prints one line of JSON per file:
// {"language": "en", "segments": [[start_s, end_s, "text"], ...]}
// A file is raw 32-bit floats, one channel, 16 kHz.

#include "whisper.h"

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

static void quiet(ggml_log_level, const char *, void *) {}

static std::vector<float> samples(const char * path) {
    std::vector<float> sound;
    FILE * file = std::fopen(path, "rb");
    if (file == nullptr) {
        std::perror(path);
        std::exit(1);
    }
    std::fseek(file, 0, SEEK_END);
    sound.resize(std::ftell(file) / sizeof(float));
    std::rewind(file);
    if (std::fread(sound.data(), sizeof(float), sound.size(), file) != sound.size()) {
        std::perror(path);
        std::exit(1);
    }
    std::fclose(file);
    return sound;
}

static std::string quoted(const char * text) {
    std::string out = "\"";
    for (const char * c = text; *c != 0; ++c) {
        if (*c == '"' || *c == '\\') {
            out += '\\';
        }
        out += static_cast<unsigned char>(*c) < 0x20 ? ' ' : *c;
    }
    return out + "\"";
}

int main(int argc, char ** argv) {
    if (argc < 4) {
        std::fprintf(stderr, "plain MODEL LANGUAGE THREADS FILE...\n");
        return 2;
    }
    whisper_log_set(quiet, nullptr);
    whisper_context_params wanted = whisper_context_default_params();
    wanted.use_gpu = false;
    whisper_context * context = whisper_init_from_file_with_params(argv[1], wanted);
    if (context == nullptr) {
        std::fprintf(stderr, "%s: no model\n", argv[1]);
        return 1;
    }
    for (int i = 4; i < argc; ++i) {
        const std::vector<float> sound = samples(argv[i]);
        whisper_full_params params = whisper_full_default_params(WHISPER_SAMPLING_GREEDY);
        params.language = argv[2];
        params.n_threads = std::atoi(argv[3]);
        params.print_progress = false;
        params.print_timestamps = false;
        if (whisper_full(context, params, sound.data(), static_cast<int>(sound.size())) != 0) {
            std::fprintf(stderr, "%s: whisper_full refused\n", argv[i]);
            return 1;
        }
        std::string out;
        for (int n = 0; n < whisper_full_n_segments(context); ++n) {
            char times[64];
            std::snprintf(times, sizeof times, "%s[%.2f, %.2f, ", n > 0 ? ", " : "",
                          whisper_full_get_segment_t0(context, n) / 100.0,
                          whisper_full_get_segment_t1(context, n) / 100.0);
            out += times + quoted(whisper_full_get_segment_text(context, n)) + "]";
        }
        std::printf("{\"language\": \"%s\", \"segments\": [%s]}\n",
                    whisper_lang_str(whisper_full_lang_id(context)), out.c_str());
        std::fflush(stdout);
    }
    whisper_free(context);
    return 0;
}

// One fragment of a person made of assets: what reaches it of a studio's light, fixed to the world.
in vec3 world_position;
in vec3 world_normal;
in vec3 rest_position;
in vec2 place;
in vec2 open_sky;          // what is not hidden of the sky and of the key light, 0 to 1
flat in ivec3 face_kind;   // class of the part, style, 1 where it is the replaced attribute
uniform int pass_kind;     // 0 opaque; of cards 1 what is solid, 2 their soft edges
layout(location = 0) out vec4 colour_out;
layout(location = 1) out vec4 normal_out;
layout(location = 2) out vec4 label_out;

const vec3 KEY = normalize(vec3(0.50, 0.55, 0.90));
const vec3 RIM = normalize(vec3(-0.80, 0.35, -0.55));
const vec3 FILL = normalize(vec3(-0.70, 0.05, 0.70));
const vec3 GLOSS = normalize(KEY + vec3(0.0, 0.0, 1.0));

vec3 to_linear(vec3 c) { return c * c; }

// Light of every direction that matters, for a surface whose shadow edges are tinted by `soft`.
vec3 light_on(vec3 n, vec2 sky, vec3 soft) {
    vec3 key = clamp((vec3(dot(n, KEY)) + soft) / (1.0 + soft), 0.0, 1.0);
    vec3 total = vec3(1.12, 1.06, 0.99) * key * mix(vec3(sky.y), vec3(1.0), 0.25 * soft);
    total += vec3(0.27, 0.29, 0.33) * clamp(0.35 + 0.65 * dot(n, FILL), 0.0, 1.0) * sky.x;
    total += mix(vec3(0.20, 0.17, 0.15), vec3(0.36, 0.38, 0.42), 0.5 + 0.5 * n.y) * sky.x;
    float rim = clamp(dot(n, RIM), 0.0, 1.0);
    return total + vec3(0.65, 0.70, 0.78) * rim * rim * sky.x;
}

float shine_on(vec3 n, float power) { return pow(clamp(dot(n, GLOSS), 0.0, 1.0), power); }

void finish(vec3 linear, float alpha, vec3 n) {
    if (pass_kind == 1 && alpha < 0.75) discard;
    if (pass_kind == 2 && (alpha >= 0.75 || alpha < 0.04)) discard;
    if (pass_kind != 2) alpha = 1.0;
    vec3 c = linear * (1.0 + 0.10 * linear) / (1.0 + 0.22 * linear);
    colour_out = vec4(sqrt(clamp(c, 0.0, 1.0)) * alpha, alpha);
    normal_out = vec4((n * 0.5 + 0.5) * alpha, alpha);
    float seen = alpha > 0.35 ? 1.0 : 0.0;   // a brow's few hairs are a brow
    label_out = vec4(float(face_kind.x) / 255.0, float(face_kind.z), 0.0, 1.0) * seen;
}

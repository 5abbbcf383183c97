// Colour, world normal and labels of one fragment, under a studio light fixed to the world.
in vec3 world_position;
in vec3 world_normal;
in vec3 rest_position;
in vec3 strand_place;
in float lip_mask;
flat in ivec3 face_kind;   // class of the part, style, 1 where it is the replaced attribute
uniform vec3 eye_at;       // the camera
uniform int part_ids[5];   // eyes, teeth, tongue, mouth, eyelids
uniform int first_piece;   // parts from this one on are pieces
uniform int replaced;      // bits: 1 brows, 2 eyes, 4 nose, 8 lips
uniform int brow_part;
uniform int nose_part;
layout(location = 0) out vec4 colour_out;
layout(location = 1) out vec4 normal_out;
layout(location = 2) out vec4 label_out;

const vec3 KEY = normalize(vec3(0.35, 0.45, 1.0));

vec3 lit(vec3 albedo, vec3 n, float gloss) {
    float wrap = clamp((dot(n, KEY) + 0.45) / 1.45, 0.0, 1.0);
    float sky = 0.5 + 0.5 * n.y;
    vec3 v = normalize(eye_at - world_position);
    float rim = pow(1.0 - clamp(dot(n, v), 0.0, 1.0), 3.0);
    float shine = pow(clamp(dot(n, normalize(KEY + vec3(0.0, 0.0, 1.0))), 0.0, 1.0), 24.0);
    vec3 light = vec3(0.47, 0.46, 0.47) + vec3(0.50, 0.485, 0.46) * wrap + vec3(0.08) * sky;
    return albedo * (light + 0.10 * rim) + gloss * shine;
}

int visible_part(int part, float brow) {
    if (part >= first_piece || part == part_ids[0] || part == part_ids[1]) return part;
    return brow > 0.5 ? brow_part : part;
}

float is_replaced(int part, float brow) {
    if (face_kind.z == 1) return 1.0;
    bool is_one = (replaced & 1) != 0 && brow > 0.4;
    is_one = is_one || ((replaced & 2) != 0 && part == part_ids[0]);
    is_one = is_one || ((replaced & 4) != 0 && part == nose_part);
    is_one = is_one || ((replaced & 8) != 0 && lip_mask > 0.45);
    return is_one ? 1.0 : 0.0;
}

void main() {
    int part = face_kind.x;
    vec3 p = rest_position;
    vec3 n = normalize(world_normal);
    vec3 albedo;
    float gloss = 0.03, shine = 0.0, brow = 0.0;
    if (part >= first_piece) {
        if (face_kind.y <= 2 && between_strands(strand_place, p, face_kind.y)) discard;
        albedo = piece_colour(strand_place.xy, p, face_kind.y);
        gloss = face_kind.y == 5 ? 0.15 : 0.03;
        if (!gl_FrontFacing && face_kind.y == 2) albedo *= 0.45;
    } else if (part == part_ids[0]) {
        albedo = eye_colour(p, shine);
    } else if (part == part_ids[1]) {
        albedo = vec3(0.93, 0.91, 0.86) * smoothstep(0.10, 0.36, p.z);
    } else if (part == part_ids[2]) {
        albedo = vec3(0.74, 0.37, 0.36) * smoothstep(0.15, 0.36, p.z);
    } else if (part == part_ids[3]) {
        albedo = mix(vec3(0.12, 0.03, 0.03), vec3(0.5, 0.22, 0.2), smoothstep(0.36, 0.41, p.z));
    } else {
        albedo = skin_colour(p, lip_mask, part == part_ids[4]);
        brow = brow_amount(p);
    }
    vec3 colour = mix(lit(albedo, n, gloss), vec3(1.0), 0.85 * shine);
    colour_out = vec4(clamp(colour, 0.0, 1.0), 1.0);
    normal_out = vec4(n * 0.5 + 0.5, 1.0);
    label_out = vec4(float(visible_part(part, brow)) / 255.0, is_replaced(part, brow), 0.0, 1.0);
}

#version 330
// One vertex of the posed person; colours are looked up at its rest position.
in vec3 position;
in vec3 normal;
in vec3 rest;
in vec3 strand;
in float lips;
in ivec3 kind;
uniform mat4 view_projection;
out vec3 world_position;
out vec3 world_normal;
out vec3 rest_position;
out vec3 strand_place;
out float lip_mask;
flat out ivec3 face_kind;

void main() {
    world_position = position;
    world_normal = normal;
    rest_position = rest;
    strand_place = strand;
    lip_mask = lips;
    face_kind = kind;
    gl_Position = view_projection * vec4(position, 1.0);
}

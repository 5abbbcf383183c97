#version 330
// One vertex of a posed person made of assets.
in vec3 position;
in vec3 normal;
in vec3 rest;
in vec2 uv;
in vec2 sky;
in ivec3 kind;
uniform mat4 view_projection;
out vec3 world_position;
out vec3 world_normal;
out vec3 rest_position;
out vec2 place;
out vec2 open_sky;
flat out ivec3 face_kind;

void main() {
    world_position = position;
    world_normal = normal;
    rest_position = rest;
    place = uv;
    open_sky = sky;
    face_kind = kind;
    gl_Position = view_projection * vec4(position, 1.0);
}

// Templates come from strangers: what they must not be able to do.
#include "text/chat_template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace lmoe::text {
namespace {

using testing::HasSubstr;

std::string repeat(const std::string& text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

ErrorCode construction_error(const std::string& source, const std::string& expected) {
  try {
    const ChatTemplate made(source);
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr(expected)) << source.substr(0, 80);
    return error.code();
  }
  ADD_FAILURE() << "accepted: " << source.substr(0, 80);
  return ErrorCode::kInternal;
}

ErrorCode rendering_error(const std::string& source,
                          const std::string& expected,
                          const Json& variables = Json::object()) {
  const ChatTemplate made(source);
  try {
    made.render(variables);
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr(expected)) << source.substr(0, 80);
    return error.code();
  }
  ADD_FAILURE() << "rendered: " << source.substr(0, 80);
  return ErrorCode::kInternal;
}

TEST(ChatTemplate, SyntaxErrorsComeAtConstructionWithTheirLine) {
  EXPECT_EQ(construction_error("a\n\n{% if x %}\n{{ 1 + }}", "line 4"), ErrorCode::kCorruptData);
  EXPECT_EQ(construction_error("{% for x in y %}", "endfor"), ErrorCode::kCorruptData);
  EXPECT_EQ(construction_error("{{ x|nosuch }}", "no filter named 'nosuch'"),
            ErrorCode::kCorruptData);
  EXPECT_EQ(construction_error("{% for x in y recursive %}{% endfor %}", "recursive"),
            ErrorCode::kCorruptData);
  for (const char* tag : {"include 'x'", "import 'x' as y", "extends 'x'", "from 'x' import y"})
    EXPECT_EQ(construction_error("{% " + std::string(tag) + " %}", "not available"),
              ErrorCode::kCorruptData);
}

TEST(ChatTemplate, RuntimeErrorsNameTheLine) {
  EXPECT_EQ(rendering_error("\n\n{{ raise_exception('no ' ~ 1) }}", "line 3: no 1"),
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(rendering_error("{{ messages[0].role }}", "'messages' is undefined"),
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(rendering_error("{{ m.role.x }}", "no attribute 'role'", {{"m", Json::object()}}),
            ErrorCode::kInvalidArgument);
}

TEST(ChatTemplate, NoAttributesBeyondPlainData) {
  for (const char* source :
       {"{{ ''.__class__.__mro__ }}", "{{ [].append(1) }}", "{{ {}.update({}) }}",
        "{{ range.__globals__.x }}", "{{ namespace.__init__() }}",
        "{{ cycler.__init__.__globals__ }}", "{{ '{0.__class__}'.format(1) }}",
        "{{ ''['__class__']['x'] }}", "{{ (1)|attr('__class__')|attr('x') }}"})
    EXPECT_EQ(rendering_error(source, "line 1"), ErrorCode::kInvalidArgument) << source;
  EXPECT_EQ(ChatTemplate("[{{ ''.__class__ }}]").render(Json::object()), "[]");
}

TEST(ChatTemplate, StepsAreLimited) {
  rendering_error("{{ range(10**9) }}", "range()");
  rendering_error(
      "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}", "steps");
  rendering_error(
      "{% set ns = namespace(x=[1]) %}{% for i in range(64) %}"
      "{% set ns.x = ns.x + ns.x %}{% endfor %}",
      "steps");
  rendering_error(
      "{% set ns = namespace(x=1) %}{% for i in range(50) %}"
      "{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}",
      "steps");
  rendering_error(
      "{% set ns = namespace(x=1) %}{% for i in range(50) %}"
      "{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x == [ns.x[0], ns.x[1]] }}"
      "{% set ns.y = 1 %}{% for i in range(50) %}{% set ns.y = [ns.y, ns.y] %}"
      "{% endfor %}{{ ns.x == ns.y }}",
      "steps");
  rendering_error(
      "{% set t = 'x' * 15000000 %}{% for i in range(100000) %}{{ t == 'x' * 15000000 }}"
      "{% endfor %}",
      "steps");
}

TEST(ChatTemplate, OutputIsLimited) {
  rendering_error("{{ 'x' * 10**12 }}", "bytes");
  rendering_error("{{ 'x' * 9223372036854775807 }}", "bytes");
  rendering_error("{{ [1] * 9223372036854775807 }}", "steps");
  rendering_error("{{ '%1000000000d' % 1 }}", "too large");
  rendering_error("{{ 'x'.center(10**12) }}", "bytes");
  rendering_error(
      "{% set ns = namespace(x='ab') %}{% for i in range(100) %}"
      "{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
      "bytes");
  rendering_error(
      "{% set ns = namespace(x='ab') %}{% for i in range(100) %}"
      "{% set ns.x = ns.x|replace('', ns.x) %}{% endfor %}",
      "limit");
  TemplateLimits limits;
  limits.max_output_bytes = 100;
  const ChatTemplate small("{% for i in range(1000) %}{{ m }}{% endfor %}", limits);
  EXPECT_THROW(small.render({{"m", "hello"}}), Error);
  EXPECT_THROW(ChatTemplate(repeat("x", 101), limits).render(Json::object()), Error);
}

TEST(ChatTemplate, DepthIsLimited) {
  rendering_error("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "deep");
  rendering_error(
      "{% macro f() %}{{ caller() }}{% endmacro %}{% macro g() %}{% call f() %}"
      "{{ g() }}{% endcall %}{% endmacro %}{{ g() }}",
      "deep");
  rendering_error(
      "{% set ns = namespace(x=1) %}{% for i in range(100000) %}"
      "{% set ns.x = [ns.x] %}{% endfor %}",
      "deep");
  construction_error("{{ " + repeat("(", 100000) + "1" + repeat(")", 100000) + " }}", "deep");
  construction_error("{{ " + repeat("not ", 100000) + "1 }}", "deep");
  construction_error("{{ " + repeat("-", 100000) + "1 }}", "deep");
  construction_error("{{ 1" + repeat(" + 1", 100000) + " }}", "deep");
  construction_error("{{ a" + repeat(".b", 100000) + " }}", "deep");
  construction_error("{{ a" + repeat("|list", 100000) + " }}", "deep");
  construction_error(repeat("{% if x %}", 100000), "deep");
  construction_error("{{ " + repeat("[", 100000), "end of template");
  Json deep = 1;
  for (int i = 0; i < 100; ++i) deep = Json::array({deep});
  rendering_error("{{ x }}", "deep", {{"x", deep}});
}

TEST(ChatTemplate, ThingsThatHoldEachOtherGoAway) {
  // Leaks would be found by the sanitizer build.
  const ChatTemplate made(
      "{% set a = namespace() %}{% set b = namespace(a=a) %}{% set a.b = b %}{% set a.a = a %}"
      "{% macro m() %}{{ m is defined }}{% endmacro %}{% set a.m = m %}{{ m() }}"
      "{% for i in range(1000) %}{% macro n() %}{{ a }}{% endmacro %}{% set a.n = n %}{% endfor "
      "%}");
  EXPECT_EQ(made.render(Json::object()), "True");
}

TEST(ChatTemplate, CanBeMovedAndUsedAgain) {
  ChatTemplate first("{{ x }}");
  ChatTemplate second = std::move(first);
  EXPECT_EQ(second.render({{"x", 1}}), "1");
  EXPECT_EQ(second.render({{"x", "zwei"}}), "zwei");
  EXPECT_EQ(second.source(), "{{ x }}");
}

}  // namespace
}  // namespace lmoe::text

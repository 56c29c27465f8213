-- Rows in addition to tests/routes/world.sql, so that every column with a user id contains Mel (2).

insert into users_userprofile (id, created_at, updated_at, user_id) values
  (901, '2020-01-01', '2020-01-01', 2) on conflict do nothing;
insert into contacts_usercontact (id, created_at, updated_at, user_id) values
  (902, '2020-01-01', '2020-01-01', 2) on conflict do nothing;
insert into medias_useravatar (id, created_at, updated_at, file, size, user_id) values
  (903, '2020-01-01', '2020-01-01', 'user_avatars/2.png', 1, 2) on conflict do nothing;
insert into users_doipublication (id, created_at, updated_at, user_id, doi) values
  (904, '2020-01-01', '2020-01-01', 2, '10.1/2');
insert into caretakers_caretaker (id, created_at, updated_at, user_id, caretaker_id) values
  (905, '2020-01-01', '2020-01-01', 2, 3), (906, '2020-01-01', '2020-01-01', 4, 2);
insert into users_employmententry (id, public_profile_id, position_title, start_year) values
  (907, 42, 'Warden', 2012);
insert into users_educationentry
  (id, public_profile_id, qualification_name, end_year, institution, location)
values (908, 42, 'BSc', 2000, 'UWA', 'Perth');
insert into documents_custompublication (id, public_profile_id, year, title) values
  (909, 42, 2020, 'On moss');
insert into users_publicstaffprofile_keyword_tags (id, publicstaffprofile_id, keywordtag_id) values
  (910, 42, 47);
insert into agencies_division_directorate_email_list (id, division_id, user_id) values (911, 271, 2);
insert into django_content_type (id, app_label, model) values (912, 'users', 'user');
insert into auth_permission (id, name, content_type_id, codename) values (913, 'May', 912, 'may');
insert into auth_group (id, name) values (914, 'Group');
insert into users_user_groups (id, user_id, group_id) values (915, 2, 914);
insert into users_user_user_permissions (id, user_id, permission_id) values (916, 2, 913);
insert into django_admin_log
  (id, action_time, object_repr, action_flag, change_message, content_type_id, user_id)
values (917, '2020-01-01', 'Thing', 1, '', 912, 2);

update users_userprofile set image_id = (select id from medias_useravatar where user_id = 2)
where user_id = 3;
update agencies_agency set key_stakeholder_id = 2;
update agencies_branch set manager_id = 2;
update agencies_businessarea
set leader_id = 2, caretaker_id = 2, finance_admin_id = 2, data_custodian_id = 2;
update agencies_division set director_id = 2, approver_id = 2;
update agencies_departmentalservice set director_id = 2;
update projects_projectdetail
set creator_id = 2, modifier_id = 2, owner_id = 2, data_custodian_id = 2, site_custodian_id = 2;
update medias_projectphoto set uploader_id = 2;
update medias_businessareaphoto set uploader_id = 2;
update medias_projectplanmethodologyphoto set uploader_id = 2;
update medias_aecendorsementpdf set creator_id = 2;
update documents_projectdocument set creator_id = 2, modifier_id = 2;
update documents_annualreport set creator_id = 2, modifier_id = 2;
update adminoptions_admintask set requester_id = 2, primary_user_id = 2;
update communications_comment set user_id = 2;
